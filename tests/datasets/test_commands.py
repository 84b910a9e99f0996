"""The commands, as a person and as a program use them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import Conflict, DataError, NotFound
from pilothouse.datasets.commands import dataset
from pilothouse.datasets.samples.service import SampleService
from pilothouse.datasets.samples.types import PulledSample

Write = Callable[[str, str | bytes], Path]
Run = Callable[..., Result]


@pytest.fixture
def run(services: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(services.root)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(dataset, arguments, obj=services)

    return invoke


def said(result: Result) -> str:
    assert result.exit_code == 0, result.exception
    return result.stdout


def data(result: Result) -> Any:
    return json.loads(said(result))


def test_add_list_show(run: Run, write: Write) -> None:
    write("a.csv", "id,text\n1,[bold]hello[/bold]\n2,bye\n")

    assert "new version dataset:sms:1, 2 rows" in said(run("add", "sms", "a.csv", "--licence", "CC0"))
    assert "unchanged, no new version: dataset:sms:1" in said(run("add", "sms", "a.csv"))
    assert "dataset:sms:1" in said(run("list"))
    shown = said(run("show", "sms"))
    assert "CC0" in shown
    assert "[bold]hello[/bold]" in shown


def test_facts_that_stay_are_told(run: Run, write: Write) -> None:
    write("a.csv", "text\nx\n")
    run("add", "sms", "a.csv", "--licence", "CC0")

    assert "licence stays 'CC0'" in said(run("add", "sms", "a.csv", "--licence", "MIT"))


def test_for_programs(run: Run, write: Write) -> None:
    write("a.jsonl", '{"n": 1, "t": null}\n{"n": 2}\n')

    added = data(run("add", "x", "a.jsonl", "--json"))
    assert (added["ref"], added["is_new"], added["rows"], added["skipped"]) == ("dataset:x:1", True, 2, [])
    assert [version["ref"] for version in data(run("list", "--json"))] == ["dataset:x:1"]
    shown = data(run("show", "dataset:x:1", "--rows", "1", "--json"))
    assert shown["sample"] == [{"id": "0", "number": 0, "data": {"n": 1, "t": None}}]
    assert shown["columns"][1] == {"name": "t", "type": "null", "nulls": 1, "absent": 1}
    assert shown["digest"] == added["digest"]


def test_a_file_can_be_shown_before_it_is_added(run: Run, write: Write) -> None:
    write("a.csv", "text;label\nhi;ham\n")

    assert "label" in said(run("show", "a.csv", "--delimiter", ";"))
    assert data(run("show", "a.csv", "--delimiter", ";", "--json"))["rows"] == 1


def test_paths_are_seen_from_here(run: Run, write: Write, services: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write("sub/a.csv", "text\nx\n")
    monkeypatch.chdir(services.root / "sub")

    assert data(run("add", "x", "a.csv", "--json"))["source"] == "sub/a.csv"


def test_what_a_folder_skips_is_told(run: Run, write: Write) -> None:
    write("data/a.csv", "text\nx\n")
    write("data/notes.md", "# notes")

    assert "1 files were not read" in said(run("add", "x", "data"))


def test_diff(run: Run, write: Write) -> None:
    write("a.csv", "id,text\n1,a\n2,b\n")
    write("b.csv", "id,text\n1,a\n2,c\n")

    found = data(run("diff", "a.csv", "b.csv", "--id-column", "id", "--json"))
    assert (found["changed"], found["unchanged"]) == (1, 1)
    shown = said(run("diff", "a.csv", "b.csv"))
    assert "added" in shown
    assert '{"id":"2","text":"c"}' in shown


def test_diff_takes_the_ids_of_the_version(run: Run, write: Write) -> None:
    write("a.csv", "id,text\n1,a\n2,b\n")
    run("add", "x", "a.csv", "--id-column", "id")
    write("b.csv", "id,text,more\n2,b,\n1,c,\n")

    for arguments in (("x", "b.csv"), ("b.csv", "x")):
        found = data(run("diff", *arguments, "--json"))
        assert (found["by"], found["changed"]) == ("id", 2)
    assert "columns added: more" in said(run("diff", "x", "b.csv"))


def test_hostile_data_cannot_command_the_terminal(run: Run, write: Write) -> None:
    write("a.csv", "[/x],\x1b]0;mine\x07,>end\n\x1b[31mred,[red]b[/red],\u009b2J\n")
    write("b.csv", "text\nx\n")

    for result in (run("show", "a.csv"), run("diff", "b.csv", "a.csv")):
        assert not {"\x1b", "\x07", "\u009b"} & set(said(result))
    shown = said(run("show", "a.csv"))
    assert "[/x]" in shown
    assert "[red]b[/red]" in shown


def test_diff_of_order(run: Run, write: Write) -> None:
    write("a.csv", "text\na\nb\n")
    write("b.csv", "text\nb\na\n")

    assert "their order differs" in said(run("diff", "a.csv", "b.csv"))


def test_an_empty_project(run: Run) -> None:
    assert "dataset add NAME PATH" in said(run("list"))
    assert data(run("list", "--json")) == []


def test_samples_are_listed(run: Run) -> None:
    assert "sms-spam" in said(run("pull"))
    assert [sample["name"] for sample in data(run("pull", "--json"))] == ["disfl-qa", "sms-spam"]


def test_errors_are_ours(run: Run, write: Write) -> None:
    write("a.csv", "text,text\n1,2\n")

    for kind, arguments in (
        (DataError, ("add", "x", "a.csv")),
        (NotFound, ("add", "x", "b.csv")),
        (NotFound, ("show", "nothing")),
        (NotFound, ("diff", "nothing", "a.csv")),
        (NotFound, ("pull", "nothing")),
        (NotFound, ("list", "nothing")),
    ):
        assert isinstance(run(*arguments).exception, kind), arguments


def test_a_pull(run: Run, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ready(SampleService):
        def pull(self, name: str, folder: Path, **options: Any) -> PulledSample:
            if name == "taken":
                raise Conflict("exists")
            options["progress"](5, 10)
            return PulledSample(
                name=name,
                licence="free",
                rows=folder / "a.csv",
                examples=folder / "b.csv",
                readme=folder / "README.md",
                labels={"ham": options["rows"]},
                is_new=True,
            )

    services.put(Ready(tmp_path), SampleService)
    assert "(7 ham)" in said(run("pull", "one", "--rows", "7"))
    assert data(run("pull", "one", "--json"))["rows"] == str(services.root / "data" / "a.csv")
    assert data(run("pull", "one", "--to", str(tmp_path), "--json"))["examples"] == str(tmp_path / "b.csv")
    assert isinstance(run("pull", "taken").exception, Conflict)
