"""The Python files of a flow are imported apart from those of every other flow."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import Project, python, run, tool

from pilothouse.core.errors import UserCodeError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner


def flow(folder: Path, head: str, body: str, files: dict[str, str], parameters: str = "") -> Path:
    sources = {"main.py": tool("main", parameters, body, head=head), **files}
    return Project(folder).flow([python("main")], outputs={"o": "${main.output}"}, files=sources)


def output(path: Path) -> Any:
    result = run(path)
    assert result.error is None, result.error
    return result.outputs["o"]


def test_two_flows_may_have_files_of_one_name(tmp_path: Path) -> None:
    paths = [
        flow(
            tmp_path / name,
            "from helper import NAME\nimport helper",
            "return NAME + helper.NAME",
            {"helper.py": f"NAME = '{name}'"},
        )
        for name in ("a", "b")
    ]
    runners = [FlowRunner(load_flow(path)).open() for path in paths]
    outputs = [runner.run_line_sync({}).outputs["o"] for runner in (*runners, *runners)]
    assert outputs == ["aa", "bb", "aa", "bb"]


def test_files_imported_late_are_the_flows_own_in_any_thread(tmp_path: Path) -> None:
    body = "from helper import NAME; return NAME"
    runners = [
        FlowRunner(load_flow(flow(tmp_path / name, "", body, {"helper.py": f"NAME = '{name}'"}))).open()
        for name in ("a", "b", "c")
    ]
    found: dict[int, set[str]] = {index: set() for index in range(3)}

    def work(index: int) -> None:
        for _ in range(50):
            found[index].add(runners[index].run_line_sync({}).outputs["o"])

    threads = [threading.Thread(target=work, args=(index % 3,)) for index in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: {"a"}, 1: {"b"}, 2: {"c"}}


def test_opening_many_flows_at_once_keeps_them_apart(tmp_path: Path) -> None:
    paths = [
        flow(
            tmp_path / str(number),
            "import importlib\nhelper = importlib.import_module('helper')",
            "return helper.NUMBER",
            {"helper.py": f"NUMBER = {number}"},
        )
        for number in range(8)
    ]
    found: dict[int, int] = {}

    def work(number: int) -> None:
        found[number] = FlowRunner(load_flow(paths[number])).open().run_line_sync({}).outputs["o"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(8)}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("import pack", "pack"),
        ("import pack.deep.leaf as pack", "leaf"),
        ("from pack import leaf as pack", "leaf2"),
        ("from pack.deep import leaf as pack", "leaf"),
        ("from pack.deep.leaf import NAME\nclass pack:\n    NAME = NAME", "leaf"),
        ("from . import plain as pack", "plain"),
        ("from .pack.deep import leaf as pack", "leaf"),
        ("import bare.inner as pack", "bare"),
        ("from pack.relative import pack", "leaf"),
    ],
)
def test_every_form_of_import_reaches_the_flows_files(tmp_path: Path, head: str, expected: str) -> None:
    files = {
        "pack/__init__.py": "NAME = 'pack'",
        "pack/leaf.py": "NAME = 'leaf2'",
        "pack/relative.py": "from .deep import leaf as pack",
        "pack/deep/__init__.py": "",
        "pack/deep/leaf.py": "NAME = 'leaf'",
        "bare/inner.py": "NAME = 'bare'",
        "plain.py": "NAME = 'plain'",
    }
    assert output(flow(tmp_path / "flow", head, "return pack.NAME", files)) == expected


def test_the_folder_is_first_on_the_path_and_current_while_resolving(tmp_path: Path) -> None:
    head = "import os, sys\nSEEN = [sys.path[0], os.getcwd()]"
    before, here = list(sys.path), Path.cwd()
    path = flow(tmp_path / "flow", head, "return SEEN", {})
    assert output(path) == [str(path), str(path)]
    assert (sys.path, Path.cwd()) == (before, here)


def test_a_failed_import_leaves_path_and_folder_as_they_were(tmp_path: Path) -> None:
    before, here, modules = list(sys.path), Path.cwd(), set(sys.modules)
    path = flow(tmp_path / "flow", "import helper_that_fails", "return 1", {"helper_that_fails.py": "1 / 0"})
    with pytest.raises(UserCodeError):
        FlowRunner(load_flow(path)).open()
    assert (sys.path, Path.cwd()) == (before, here)
    assert not [name for name in set(sys.modules) - modules if "helper_that_fails" in name]


def test_what_the_file_raises_is_the_users_with_its_own_frames(tmp_path: Path) -> None:
    path = flow(
        tmp_path / "flow", "import helper", "return 1", {"helper.py": "def f():\n    raise KeyError('gone')\nf()\n"}
    )
    with pytest.raises(UserCodeError, match="KeyError: 'gone'") as caught:
        FlowRunner(load_flow(path)).open()
    trace = caught.value.traceback
    assert "helper.py" in trace
    assert "main.py" in trace
    assert "pilothouse/flows" not in trace
    assert "importlib" not in trace


@pytest.mark.parametrize(
    "text", ["raise SystemExit(3)", "raise RecursionError", "import nothing_like_this_exists", "x = ("]
)
def test_a_helper_that_cannot_be_imported_is_told(tmp_path: Path, text: str) -> None:
    path = flow(tmp_path / "flow", "import helper", "return 1", {"helper.py": text})
    with pytest.raises(UserCodeError, match="cannot be imported"):
        FlowRunner(load_flow(path)).open()


def test_libraries_win_where_they_must(tmp_path: Path) -> None:
    files = {"time.py": "raise RuntimeError", "data/notes.txt": "", "json.py": "import json\nNAME = json.dumps([1])"}
    path = flow(tmp_path / "flow", "import time\nfrom json import NAME", "return [time.time() > 0, NAME]", files)
    assert output(path) == [True, "[1]"]


def test_dataclasses_and_pickles_of_the_flows_classes_work(tmp_path: Path) -> None:
    head = "from __future__ import annotations\nimport pickle\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n\n@dataclass\nclass Point:\n    x: int\n    kind: ClassVar[str] = 'p'\n"
    files = {
        "main.py": head
        + "from pilothouse import tool\n@tool\ndef main():\n    return pickle.loads(pickle.dumps(Point(3))).x\n"
    }
    path = Project(tmp_path / "flow").flow([python("main")], outputs={"o": "${main.output}"}, files=files)
    assert output(path) == 3


def test_nodes_of_one_file_share_its_module(tmp_path: Path) -> None:
    head = "COUNT = []"
    files = {"tools/count.py": tool("count", "", "COUNT.append(1); return len(COUNT)", head=head)}
    nodes = [python("a", "tools/count.py"), python("b", "tools/count.py", activate={"when": "${a.output}", "is": 1})]
    path = Project(tmp_path / "flow").flow(nodes, outputs={"o": "${b.output}"}, files=files)
    assert output(path) == 2


def test_a_file_whose_name_is_no_word_can_be_a_tool(tmp_path: Path) -> None:
    files = {"my-tool v1.py": tool("f", "", "return 5")}
    path = Project(tmp_path / "flow").flow([python("f", "my-tool v1.py")], outputs={"o": "${f.output}"}, files=files)
    assert output(path) == 5


def test_no_compiled_files_are_left_in_the_folder_and_an_edit_is_seen_at_once(tmp_path: Path) -> None:
    path = flow(tmp_path / "flow", "import helper", "return helper.X", {"helper.py": "X = 1"})
    assert output(path) == 1
    (path / "helper.py").write_text("X = 2")
    assert output(path) == 2
    assert not list(path.rglob("__pycache__"))


def test_closing_forgets_the_modules(tmp_path: Path) -> None:
    runner = FlowRunner(load_flow(flow(tmp_path / "flow", "import helper", "return 1", {"helper.py": ""}))).open()
    assert [name for name in sys.modules if name.startswith("pilothouse_flow_") and name.endswith(".helper")]
    before = {name for name in sys.modules if name.startswith("pilothouse_flow_")}
    runner.close()
    assert len(before) > len({name for name in sys.modules if name.startswith("pilothouse_flow_")})


def test_a_tool_that_empties_the_table_of_modules_does_not_disturb_a_flow(tmp_path: Path) -> None:
    head = "import sys\nfor name in [name for name in sys.modules if name.startswith('pilothouse_flow_')]:\n"
    head += "    del sys.modules[name]\nimport pack.leaf\nimport pack"
    path = flow(tmp_path / "flow", head, "return pack.leaf.NAME", {"pack/__init__.py": "", "pack/leaf.py": "NAME = 7"})
    assert output(path) == 7


def test_a_file_may_put_an_object_in_the_place_of_its_module(tmp_path: Path) -> None:
    lazy = "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(X=3)"
    assert output(flow(tmp_path / "flow", "import lazy", "return lazy.X", {"lazy.py": lazy})) == 3
