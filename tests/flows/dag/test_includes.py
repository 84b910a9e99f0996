"""Additional includes, and the digest that makes a flow a version."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.flows.building import Project, prompt, python, run, tool, write

from pilothouse.core.errors import FlowError
from pilothouse.flows.dag.includes import materialise
from pilothouse.flows.loader import load_flow

ECHO = {"echo.py": tool("echo", "value", "return value")}


def digest(project: Project) -> str:
    return load_flow(project.folder).digest


def test_a_file_a_folder_and_a_template_are_included(project: Project, tmp_path: Path) -> None:
    shared = {
        "shared/say.jinja2": "hello {{ name }}",
        "shared/lib/greet.py": "def greet(name):\n    return 'hi ' + name\n",
        "shared/lib/__init__.py": "",
        "one.py": tool("one", "name", "return greet(name)", head="from lib.greet import greet"),
    }
    write(tmp_path, shared)
    path = project.flow(
        [python("one", inputs={"name": "${inputs.name}"}), prompt("say", inputs={"name": "${one.output}"})],
        inputs={"name": "string"},
        outputs={"o": "${say.output}"},
        additional_includes=["../one.py", "../shared/lib", "../shared/say.jinja2"],
    )
    assert run(path, {"name": "Ann"}).outputs == {"o": "hello hi Ann"}
    assert sorted(item.name for item in project.folder.iterdir()) == ["flow.dag.yaml"]


def test_an_include_beats_a_local_file_and_is_noted(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"shared/echo.py": tool("echo", "value", "return 'included'")})
    path = project.flow(
        [python("echo", inputs={"value": 1})],
        outputs={"o": "${echo.output}"},
        files=ECHO,
        additional_includes=["../shared/echo.py"],
    )
    assert any("'echo.py' is taken from additional_includes" in note for note in load_flow(path).notes)
    assert run(path).outputs == {"o": "included"}


def test_a_folder_is_compressed_where_a_zip_file_is_named(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"data/a.txt": "a", "data/sub/b.txt": "b"})
    reader = "import zipfile\nfrom pathlib import Path\nNAMES = sorted(zipfile.ZipFile(Path(__file__).with_name('data.zip')).namelist())"
    files = {"names.py": tool("names", "", "return NAMES", head=reader)}
    path = project.flow(
        [python("names")], outputs={"o": "${names.output}"}, files=files, additional_includes=["../data.zip"]
    )
    assert run(path).outputs == {"o": ["data/a.txt", "data/sub/b.txt"]}


def test_a_zip_file_that_exists_is_copied_as_it_is(project: Project, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "real.zip", "w") as archive:
        archive.writestr("x.txt", "x")
    flow = load_flow(
        project.flow([python("echo", inputs={"value": 1})], files=ECHO, additional_includes=["../real.zip"])
    )
    target = tmp_path / "made"
    materialise(flow, target)
    assert (target / "real.zip").read_bytes() == (tmp_path / "real.zip").read_bytes()
    assert (target / "echo.py").is_file()


def test_windows_separators_are_understood(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"shared/echo.py": ECHO["echo.py"]})
    path = project.flow(
        [python("echo", inputs={"value": 1})],
        outputs={"o": "${echo.output}"},
        additional_includes=["..\\shared\\echo.py"],
    )
    assert run(path).outputs == {"o": 1}


@pytest.mark.parametrize("include", ["../nowhere.py", "../nowhere/", "../nothing.zip"])
def test_an_include_that_is_not_there_is_refused_with_its_line(project: Project, include: str) -> None:
    project.flow([python("echo", inputs={"value": 1})], files=ECHO, additional_includes=[include])
    with pytest.raises(FlowError, match="does not exist") as caught:
        load_flow(project.folder)
    assert "flow.dag.yaml:" in str(caught.value.where)


def test_the_digest_follows_the_content_and_nothing_else(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"shared/lib/x.py": "X = 1"})
    project.flow([python("echo", inputs={"value": 1})], files=ECHO, additional_includes=["../shared/lib"])
    first = digest(project)
    write(
        project.folder,
        {
            "__pycache__/echo.pyc": "x",
            ".pilothouse/state": "x",
            ".runs/a": "x",
            ".git/HEAD": "x",
            ".env": "KEY=1",
            "sub/old.pyc": "x",
        },
    )
    (project.folder / "echo.py").touch()
    assert digest(project) == first
    write(tmp_path, {"shared/lib/x.py": "X = 2"})
    second = digest(project)
    assert second != first
    write(project.folder, {"data.csv": "a,b"})
    assert digest(project) != second


def test_the_digest_does_not_depend_on_the_place(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        project = Project(tmp_path / name / "flow")
        project.flow([python("echo", inputs={"value": 1})], files=ECHO)
        digests.add(digest(project))
    assert len(digests) == 1


def test_a_renamed_file_is_another_digest(project: Project) -> None:
    project.flow([python("echo", inputs={"value": 1})], files={**ECHO, "notes.txt": "x"})
    before = digest(project)
    (project.folder / "notes.txt").rename(project.folder / "memo.txt")
    assert digest(project) != before


def test_a_link_that_leads_back_up_does_not_hang_the_digest(project: Project) -> None:
    project.flow([python("echo", inputs={"value": 1})], files=ECHO)
    (project.folder / "again").symlink_to(project.folder, target_is_directory=True)
    assert len(digest(project)) == 64
