"""The verbs of `pilothouse run` that keep runs in order, and the options that name a run's settings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from pilothouse.core.errors import NotFound, UserError
from pilothouse.experiments.runs.exports.details import FAILED, details
from pilothouse.experiments.runs.runfile import apply_settings
from pilothouse.experiments.runs.types import Run, RunRow

from .conftest import ASK_FLOW, JUDGE_FLOW, Project
from .test_commands import Cli, cli, create

__all__ = ["cli"]


@pytest.fixture
def base(project: Project) -> Run:
    spec = project.spec(rows=12, name="base")
    project.broken(3)
    return project.run(spec)


def test_archived_runs_are_left_out_of_lists(project: Project, base: Run, cli: Cli) -> None:
    assert "run restore base" in cli("run", "archive", "base")[1]
    assert "all runs are archived" in cli("run", "list")[1]
    assert "archived" in cli("run", "list", "--include-archived")[1]
    assert "left out of lists" in cli("run", "show", "base")[1]
    assert [run["name"] for run in json.loads(cli("run", "list", "--archived-only", "--json")[1])] == ["base"]
    assert cli("run", "restore", "base", "--json")[0] == 0
    assert "no run is archived" in cli("run", "list", "--archived-only")[1]
    assert [run.name for run in project.runs.list(archived=False)] == [base.name]


def test_a_list_says_that_it_is_cut(project: Project, base: Run, cli: Cli) -> None:
    project.run(project.spec(rows=1, name="second"))
    assert "base" not in cli("run", "list", "--max-results", "1")[1]
    assert "the latest 1; --all-results shows all" in cli("run", "list", "-r", "1")[1]
    assert "--all-results" not in cli("run", "list", "--max-results", "2")[1]
    assert base.name in cli("run", "list", "-r", "1", "--all-results")[1]
    assert "has no runs" in cli("run", "list", "--experiment", "none")[1]


def test_words_are_changed_and_the_rest_is_not(project: Project, base: Run, cli: Cli) -> None:
    code, out, _ = cli("run", "update", "base", "--set", "display_name=A b", "--set", "tags.x=1", "--set", "tags.y=2")
    assert (code, out) == (0, "changed base\n")
    cli("run", "update", "base", "--set", "tags.x=3", "--json")
    changed = project.runs.get("base")
    assert (changed.spec.display_name, changed.spec.tags) == ("A b", {"x": "3", "y": "2"})
    assert (changed.status, changed.metrics, changed.attempts) == (base.status, base.metrics, base.attempts)
    assert "x=3, y=2" in cli("run", "show", "base")[1]
    assert cli("run", "update", "base", "--set", "data=x")[0] == 2
    assert cli("run", "update", "base")[0] == 2


def test_a_run_that_goes_away_meanwhile_is_not_changed(
    project: Project, base: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project.runs._store, "get", lambda _ref: base)
    project.runs._store.delete(base.id)
    with pytest.raises(NotFound, match="deleted meanwhile"):
        project.runs.archive("base")


def test_details_are_a_table_csv_json_and_files(project: Project, base: Run, cli: Cli) -> None:
    out = cli("run", "show-details", base.name)[1]
    assert "inputs.x" in out
    assert FAILED in out
    rows = [json.loads(line) for line in cli("run", "show-details", "base", "--json")[1].splitlines()]
    assert rows[3] == {"inputs.line_number": 3, "status": "failed", "inputs.x": 3, "outputs.y": FAILED}
    assert rows[4] == {"inputs.line_number": 4, "status": "completed", "inputs.x": 4, "outputs.y": 8}
    text = cli("run", "show-details", "base", "--csv", "-r", "2")[1]
    assert [row["outputs.y"] for row in csv.DictReader(io.StringIO(text))] == ["0", "2"]
    code, out, err = cli("run", "show-details", "base", "-r", "2", "--output", "details")
    assert code == 0
    assert "the first 2 of 12 rows" in err
    written = (project.root / "details" / "details.jsonl").read_text().splitlines()
    assert len(written) == 2
    cli("run", "show-details", "base", "--all-results", "--output", "details")
    assert len((project.root / "details" / "details.csv").read_text().splitlines()) == 13
    assert cli("run", "show-details", "base", "--csv", "--json")[0] == 2


def test_an_output_that_was_not_given_is_not_a_failure() -> None:
    rows = [
        RunRow(line_id="0", number=0, status="completed", inputs={"a": 1}, outputs={"x": None}),
        RunRow(line_id="1", number=1, status="completed", inputs={"a": 2, "b": [1]}, outputs={"y": "z"}),
        RunRow(line_id="2", number=2, status="failed", inputs={"a": 3}),
    ]
    first, second, third = details(lambda: rows, 1)
    assert (first["outputs.x"], first["outputs.y"], first["inputs.b"]) == (None, None, None)
    assert (second["outputs.x"], second["outputs.y"], second["inputs.b"]) == (None, "z", [1])
    assert (third["outputs.x"], third["outputs.y"], third["status"]) == (FAILED, FAILED, "failed")


def test_hostile_values_stay_text(project: Project, base: Run, cli: Cli) -> None:
    assert base.counts.done == 12
    tool = project.root / "flows" / "pair" / "double.py"
    tool.write_text(tool.read_text().replace("return 2 * x", r'return "\x1b[31m[bold]\n" + "=1+1,\"x\""'))
    cli(*create("--name", "odd", "--limit", "1"))
    assert "\x1b" not in cli("run", "show-details", "odd")[1]
    (row,) = csv.DictReader(io.StringIO(cli("run", "show-details", "odd", "--csv")[1]))
    assert row["outputs.y"] == '\x1b[31m[bold]\n=1+1,"x"'


def test_metrics_are_shown(base: Run, cli: Cli, project: Project) -> None:
    assert json.loads(cli("run", "show-metrics", "base", "--json")[1]) == base.metrics
    assert "mismatched" in cli("run", "show-metrics")[1]
    project.flow("ask", ASK_FLOW)
    (project.root / "connections").mkdir()
    (project.root / "connections" / "scripted.yaml").write_text("name: scripted\ntype: scripted\nscript: a.yaml\n")
    (project.root / "a.yaml").write_text("- reply: x\n")
    project.data([{"question": "q"}], "q.jsonl")
    cli("run", "create", "--flow", "flows/ask", "--data", "q.jsonl", "--name", "ask")
    code, out, err = cli("run", "show-metrics", "ask")
    assert (code, out) == (0, "")
    assert "its flow logged none" in err


def test_a_run_of_its_words_settings_and_variables(project: Project, cli: Cli) -> None:
    project.spec(rows=5)
    words = ("--display-name", "First", "--description", "a try", "--tags", "a=b", "--tag", "c=d")
    given = (
        "--set",
        "limit=2",
        "--set",
        "tags.size=3",
        "--set",
        "column_mapping.x=${data.x}",
        "--environment-variables",
        "MODE=t",
    )
    assert cli(*create(*words, *given, "--stream"))[0] == 0
    run = project.runs.get("base")
    assert (run.spec.display_name, run.spec.description) == ("First", "a try")
    assert run.spec.tags == {"size": "3", "a": "b", "c": "d"}
    assert (run.spec.limit, run.counts.total, run.column_mapping) == (2, 2, {"x": "${data.x}"})
    assert run.spec.environment_variables == {"MODE": "t"}
    assert [row.outputs["y"] for row in project.rows(run)] == [0, 2]


def test_a_secret_is_not_written_into_a_runs_record(project: Project, cli: Cli) -> None:
    project.spec(rows=1)
    code, _, err = cli(*create("--environment-variables", "OPENAI_API_KEY=sk-0123456789"))
    assert (code, "sk-0123456789" in err, "looks like a secret" in err) == (2, False, True)
    assert cli(*create("--environment-variables", "MAX_TOKENS=5"))[0] == 0


SECRETIVE = """
    import os
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        return len(os.environ["SHOP_KEY"]) + int(os.environ["EXTRA"])
"""


def test_a_file_of_variables_is_read_by_each_attempt_and_never_recorded(
    project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "")
    monkeypatch.setenv("EXTRA", "")
    project.spec(rows=1)
    project.flow("pair", {"double.py": SECRETIVE})
    (project.root / "batch").mkdir()
    (project.root / "batch" / "shop.env").write_text("SHOP_KEY=sk-0123456789\nEXTRA=1\n")
    (project.root / "batch" / "run.yml").write_text(
        "flow: ../flows/pair\ndata: ../data.jsonl\nenvironment_variables: shop.env\n"
    )
    assert cli("run", "create", "--file", "batch/run.yml", "--name", "filed", "--no-cache")[0] == 0
    more = ("--environment-variables", "batch/shop.env", "--environment-variables", "EXTRA=5", "--no-cache")
    assert cli(*create(*more))[0] == 0
    assert [project.rows(project.runs.get(name))[0].outputs["y"] for name in ("filed", "base")] == [13 + 1, 13 + 5]
    record = cli("run", "show", "filed", "--json")[1]
    assert "batch/shop.env" in record
    assert "sk-0123456789" not in record
    (project.root / "batch" / "shop.env").unlink()
    code, _, err = cli("run", "create", "--again", "filed")
    assert (code, "no such file of variables" in err) == (2, True)


def test_a_run_of_settings_alone_and_options_overrule_them(project: Project, cli: Cli) -> None:
    project.spec(rows=5)
    made = (
        "run",
        "create",
        "--set",
        "flow=flows/pair",
        "--set",
        "data=data.jsonl",
        "--set",
        "name=set",
        "--limit",
        "3",
    )
    assert cli(*made, "--set", "limit=1", "--set", "runtime=automatic")[0] == 0
    assert project.runs.get("set").counts.total == 3
    assert cli("run", "create", "--set", "limit=many", "--flow", "flows/pair")[0] == 2


def test_resume_from_on_the_command_line(project: Project, base: Run, cli: Cli) -> None:
    project.broken()
    code, out, _ = cli(
        "run", "create", "--resume-from", "base", "--name", "more", "--tags", "a=b", "--concurrency", "2"
    )
    assert code == 0
    assert "11 completed rows were kept from the run" in " ".join(out.split())
    assert project.runs.get("more").resumed_from == base.id
    assert cli("run", "create", "--resume-from", "base", "--again", "base")[0] == 2
    code, _, err = cli("run", "create", "--resume-from", "base", "-m", "x=5")
    assert code == 2
    assert "--force" in err


def test_a_flow_of_another_project_is_said(project: Project, cli: Cli, tmp_path: Path) -> None:
    project.spec(rows=1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "pilothouse.yaml").write_text("")
    (project.root / "flows" / "pair").rename(other / "pair")
    code, _, err = cli("run", "create", "--flow", str(other / "pair"), "--data", "data.jsonl")
    assert code == 0
    assert "settings and connections are those of" in err
    assert "pilothouse -C" in err


@pytest.mark.parametrize(
    ("texts", "fields"),
    [
        (["flow=f", "data=../d.csv", "run=base"], {"flow": "sub/f", "data": "d.csv", "source_run": "base"}),
        (["data=dataset:d:2"], {"data": "dataset:d:2"}),
        (["variant=${a.b}", "variants.c=d"], {"variants": {"a": "b", "c": "d"}}),
        (["column_mapping.a=${data.x}", "column_mapping.b=1.5", "column_mapping.c=yes", "column_mapping.d=true"],
         {"column_mapping": {"a": "${data.x}", "b": 1.5, "c": "yes", "d": True}}),
        (["column_mapping.a=x: y", "column_mapping.b=[1, 2]", "column_mapping.c={"],
         {"column_mapping": {"a": "x: y", "b": [1, 2], "c": "{"}}),
        (["connections.n.connection=c", "connections.n.model=m"],
         {"connections": {"n": {"connection": "c", "model": "m"}}}),
        (["init.k=3", "tags.k=3", "environment_variables.K=3"],
         {"connections": {"init": {"k": 3}}, "tags": {"k": "3"}, "environment_variables": {"K": "3"}}),
        (["limit=3", "use_cache=false", "name=3", "description=a=b"],
         {"limit": 3, "use_cache": False, "name": "3", "description": "a=b"}),
    ],
)  # fmt: skip
def test_settings_are_those_of_a_run_file(tmp_path: Path, texts: list[str], fields: dict[str, object]) -> None:
    found: dict[str, object] = {}
    assert apply_settings(found, texts, tmp_path / "sub", tmp_path) == []
    assert found == fields


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limt=3", "did you mean 'limit'?"),
        ("limit.x=3", "limit=VALUE"),
        ("tags=3", "tags.KEY=VALUE"),
        ("tags.=3", "tags.KEY=VALUE"),
        ("connections.n=c", "connections.NODE.PARAMETER=VALUE"),
        ("variant=x", "${node.variant_id}"),
        ("limit", "key=value"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        apply_settings({}, [text], tmp_path, tmp_path)
    assert words in str(error.value)


def test_a_page_of_runs_is_written(project: Project, base: Run, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    project.run(project.spec(rows=12, name="second"))
    code, out, _ = cli("run", "visualize", base.name, "second", "--output", "page.html")
    assert (code, out, opened) == (0, "page.html\n", [])
    assert "2 runs side by side" in (project.root / "page.html").read_text()
    assert cli("run", "visualize", "base", base.id)[0] == 2
    assert cli("run", "visualize")[0] == 2
    cli("run", "visualize", "base", "-o", "one.html", "--open")
    assert opened == [(project.root / "one.html").as_uri()]
    assert "visualize" in cli("run", "--help")[1]


def test_a_judged_run_is_followed_to_its_source(project: Project, base: Run, cli: Cli) -> None:
    project.flow("judge", JUDGE_FLOW)
    mapping = ("-m", "truth=${run.inputs.x}", "-m", "answer=${run.outputs.y}")
    cli("run", "create", "--flow", "flows/judge", "--run", base.name, *mapping, "--name", "judged")
    assert cli("run", "stream", "judged")[0] == 1
    assert cli("run", "create", "--again", "judged", "--name", "once-more")[0] == 1
    assert project.runs.get("once-more").source_run == base.id
