"""The import of `promptflow`: only while a flow needs it, and never in the way of the real package."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.flows.building import FakeModels, Project, python, run, write

from pilothouse.flows.loader import load_flow
from pilothouse.flows.promptflow.finder import FINDER, installed, served
from pilothouse.flows.promptflow.surface import SURFACE, absent
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

TOOL = "from promptflow.core import tool\n@tool\ndef t(x: int = 1):\n    import promptflow.entities\n    return x\n"


def path_of(project: Project, text: str = TOOL) -> Path:
    return project.flow([python("t")], outputs={"o": "${t.output}"}, files={"t.py": text})


def test_nothing_is_left_behind_when_the_flow_is_closed(project: Project) -> None:
    runner = FlowRunner(load_flow(path_of(project))).open()
    assert FINDER in sys.meta_path
    assert find_spec("promptflow") is not None
    assert asyncio.run(runner.run_line({})).outputs == {"o": 1}
    runner.close()
    assert FINDER not in sys.meta_path
    assert not [name for name in sys.modules if name.partition(".")[0] == "promptflow"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("promptflow")


def test_the_last_flow_that_is_closed_ends_it(project: Project, tmp_path: Path) -> None:
    first = FlowRunner(load_flow(path_of(project))).open()
    second = FlowRunner(load_flow(path_of(Project(tmp_path / "second")))).open()
    first.close()
    first.close()
    assert asyncio.run(second.run_line({})).outputs == {"o": 1}
    second.close()
    assert FINDER not in sys.meta_path


def test_a_flow_without_prompt_flow_does_not_bring_it(project: Project) -> None:
    runner = FlowRunner(load_flow(path_of(project, "from pilothouse import tool\n@tool\ndef t(): return 1\n"))).open()
    assert FINDER not in sys.meta_path
    runner.close()


def test_a_flow_that_cannot_be_opened_leaves_nothing(project: Project) -> None:
    runner = FlowRunner(load_flow(path_of(project, TOOL + "raise ValueError\n")))
    with pytest.raises(Exception, match="ValueError"):
        runner.open()
    assert FINDER not in sys.meta_path


def test_every_name_that_is_offered_is_there() -> None:
    with served():
        for module, names in SURFACE.items():
            made = importlib.import_module(module)
            assert made.__all__ == list(names)
            for name in names:
                assert getattr(made, name) is not None, f"{module}.{name}"
            with pytest.raises(ImportError, match="not part of"):
                made.no_such_name  # noqa: B018
            assert not hasattr(made, "__no_such_name__")


def test_what_is_said_of_other_names_takes_the_longest_beginning() -> None:
    assert "PFClient" in absent("promptflow.azure.PFClient")
    assert "evaluators" in absent("promptflow.evals.evaluators.fluency")
    assert "did you mean 'tool'" in absent("promptflow.core.tol")
    assert "promptflow" in absent("promptflow.x.y.z")


NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "names.json").read_text())


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_of_prompt_flow_is_offered_or_refused_with_what_to_use(module: str) -> None:
    """The names are those that prompt flow 1.18.5 and promptflow-tools 1.6.1 have."""
    for name in NAMES[module]:
        if name not in SURFACE.get(module, {}):
            assert "; instead, " in absent(f"{module}.{name}"), f"{module}.{name}"


def test_importing_the_runner_imports_no_part_of_prompt_flow() -> None:
    text = (
        "import sys, pilothouse.flows.runner, pilothouse.flows.loader\n"
        "ours = 'pilothouse.flows.promptflow.'\n"
        "print(sorted(n.removeprefix(ours) for n in sys.modules if n.startswith(ours)), 'promptflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['finder', 'refusals', 'surface'] False"


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package in place of the real one: installed, with a decorator and a connection of its own."""
    site = write(
        tmp_path / "site",
        {
            "promptflow-1.18.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: promptflow\nVersion: 1.18.5\n",
            "promptflow/__init__.py": "",
            "promptflow/core.py": "def tool(f):\n    f.made_by = 'the real one'\n    return f\n",
            "promptflow/connections.py": """
                class CustomConnection:
                    def __init__(self, secrets, configs=None, name=None):
                        self.secrets, self.configs, self.name = secrets, configs, name
            """,
            "promptflow/batch.py": "",
        },
    )
    monkeypatch.syspath_prepend(str(site))
    installed.cache_clear()
    yield
    installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "promptflow"]:
        del sys.modules[name]


@pytest.mark.usefixtures("real")
def test_the_real_package_is_used_where_it_is_installed_and_a_note_says_so(project: Project) -> None:
    text = (
        "from promptflow.core import tool\nimport promptflow.batch\nfrom promptflow.connections import CustomConnection\n"
        "@tool\ndef t(c: CustomConnection):\n    return [t.made_by, type(c).__module__, c.configs['url'], c.secrets['k']]\n"
    )
    box = Connection(name="box", type="custom", configs={"url": "u"}, secrets={"k": Secret("s")})
    path = project.flow([python("t", inputs={"c": "box"})], outputs={"o": "${t.output}"}, files={"t.py": text})
    result = run(path, models=FakeModels(connections={"box": box}))
    assert result.error is None, result.error
    assert result.outputs["o"] == ["the real one", "promptflow.connections", "u", "s"]
    (note,) = load_flow(path).notes
    fingerprints = set()
    for _ in range(2):
        runner = FlowRunner(load_flow(path), models=FakeModels(connections={"box": box})).open()
        fingerprints.add(runner.node_fingerprint("t"))
        runner.close()
    assert len(fingerprints) == 1
    assert "t.py:1: promptflow 1.18.5 is installed and is used" in note


def test_a_library_that_the_flow_imports_may_be_written_for_prompt_flow(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
        from promptflow.contracts.types import AttrDict
        def late(x):
            from promptflow.exceptions import ErrorTarget
            return AttrDict(x=x).x + ErrorTarget.TOOL.value
    """
    monkeypatch.syspath_prepend(str(write(tmp_path / "site", {"acme_lib.py": text})))
    tool = "import acme_lib\nfrom pilothouse import tool\n@tool\ndef t():\n    return acme_lib.late('a')\n"
    result = run(path_of(project, tool))
    sys.modules.pop("acme_lib")
    assert result.error is None, result.error
    assert result.outputs == {"o": "aTool"}
    assert FINDER not in sys.meta_path


def test_many_threads_may_import_late_at_once(project: Project) -> None:
    text = (
        "from promptflow.core import tool\n@tool\ndef t(x: int = 1):\n"
        "    from promptflow.exceptions import UserErrorException\n    from promptflow.tracing import trace\n"
        "    from promptflow.connections import SerpConnection\n    return trace(lambda: SerpConnection('k').api_key)()\n"
    )

    async def go() -> list[object]:
        async with FlowRunner(load_flow(path_of(project, text))) as runner:
            lines = await asyncio.gather(*(runner.run_line({}, line_number=number) for number in range(50)))
            return [line.error or line.outputs["o"] for line in lines]

    assert asyncio.run(go()) == ["k"] * 50
