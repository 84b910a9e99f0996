"""`pilothouse run ...` as a user types it: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.cli.main import main
from pilothouse.core.errors import ConfigError, UserError
from pilothouse.experiments.runs.commands import printing, watching
from pilothouse.experiments.runs.runfile import load_run_file, parse_pairs, parse_variants
from pilothouse.experiments.runs.types import Attempt

from .conftest import JUDGE_FLOW, Project

Cli = Callable[..., tuple[int, str, str]]

VARIANTS = {
    "flow.dag.yaml": """
        inputs:
          x: {type: int}
        outputs:
          y: {type: int, reference: "${power.output}"}
        nodes:
          - name: power
            use_variants: true
        node_variants:
          power:
            default_variant_id: two
            variants:
              two:
                node: {type: python, source: {type: code, path: power.py}, inputs: {x: "${inputs.x}", by: 2}}
              three:
                node: {type: python, source: {type: code, path: power.py}, inputs: {x: "${inputs.x}", by: 3}}
    """,
    "power.py": """
        from pilothouse import tool

        @tool
        def power(x: int, by: int) -> int:
            return x**by
    """,
}


@pytest.fixture
def cli(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(project.root)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert max(map(len, out.splitlines()), default=0) <= 80 or "--json" in arguments or "export" in arguments
        assert "Traceback" not in err
        return int(left.value.code or 0), out, err

    return call


def create(*more: str) -> list[str]:
    return ["run", "create", "--flow", "flows/pair", "--data", "data.jsonl", "--name", "base", *more]


def test_a_run_ends_with_a_summary_and_what_to_type_next(project: Project, cli: Cli) -> None:
    project.spec(rows=12)
    code, out, _ = cli(*create())
    assert code == 0
    assert "12 of 12: 12 completed, 0 failed" in out
    assert "mismatched" in out
    assert "next: pilothouse run show base --rows" in out


def test_time_is_of_all_attempts_and_the_rate_of_the_last(project: Project) -> None:
    ended = project.run(project.spec(rows=2))
    (first,) = ended.attempts
    first = msgspec.structs.replace(first, rows=10, duration=10.0)
    second = msgspec.structs.replace(first, number=2, rows=20, duration=2.0)

    def time(*attempts: Attempt) -> str:
        return dict(printing.facts(msgspec.structs.replace(ended, attempts=attempts)))["time"]

    killed = msgspec.structs.replace(first, ended_at=None, rows=0, duration=0.0)
    assert time(first, second) == "12.0 s (10 rows/s)"
    assert time(killed) == "unknown"
    assert time(killed, second) == "over 2.0 s (10 rows/s)"


def test_failures_are_shown_and_end_with_1(project: Project, cli: Cli) -> None:
    project.spec(rows=12)
    project.broken(3)
    code, out, _ = cli(*create())
    assert code == 1
    assert "completed_with_errors" in out
    assert "row 3: double: no answer for 3" in out
    assert "pilothouse run resume base" in out
    assert cli(*create("--name", "again", "--max-failures", "1"))[0] == 0
    project.broken()
    code, out, _ = cli("run", "resume", "base")
    assert code == 0
    assert "12 of 12: 12 completed, 0 failed" in out


def test_json_is_the_record(project: Project, cli: Cli) -> None:
    project.spec(rows=3)
    code, out, _ = cli(*create("--json"))
    assert code == 0
    assert json.loads(out)["counts"]["completed"] == 3
    assert json.loads(cli("run", "show", "base", "--json")[1])["name"] == "base"
    assert [run["name"] for run in json.loads(cli("run", "list", "--json")[1])] == ["base"]
    rows = [json.loads(line) for line in cli("run", "show", "base", "--rows", "--json")[1].splitlines()]
    assert [row["outputs"] for row in rows] == [{"y": 0}, {"y": 2}, {"y": 4}]


def test_runs_and_rows_are_shown(project: Project, cli: Cli) -> None:
    project.spec(rows=5)
    project.broken(4)
    cli(*create())
    assert "base" in cli("run", "list")[1]
    out = cli("run", "show", "latest", "--rows", "--limit", "2")[1]
    assert '{"y":2}' in out
    assert "--limit N shows more" in out
    out = cli("run", "show", "base", "--failed")[1]
    assert "no answer for 4" in out
    assert '{"y":2}' not in out
    assert "no answer for 4" in cli("run", "show", "base")[1]


def test_markup_in_names_and_values_is_only_text(project: Project, cli: Cli) -> None:
    project.spec(rows=2)
    flow = project.root / "flows" / "pair" / "double.py"
    text = (
        flow.read_text()
        .replace("return 2 * x", 'return "[bold]x[/red]"')
        .replace('f"no answer for {x}"', r'"\x1b[31m[/b]"')
    )
    flow.write_text(text)
    project.broken(1)
    out = cli(*create())[1]
    assert r"double: \x1b[31m[/b]" in out
    assert "[bold]x[/red]" in cli("run", "show", "base", "--rows")[1]


def test_one_row_is_opened(project: Project, cli: Cli) -> None:
    project.spec(rows=3)
    project.broken(1)
    cli(*create())
    out = cli("run", "show", "base", "--line", "1")[1]
    assert 'inputs: {"x":1}' in out
    assert "error: double: no answer for 1" in out
    assert "pilothouse trace show" in out
    assert json.loads(cli("run", "show", "base", "--line", "2", "--json")[1])["outputs"] == {"y": 4}
    assert cli("run", "show", "base", "--line", "9")[0] == 2


def test_progress_is_a_bar_on_a_terminal(project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    project.spec(rows=500)
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = cli(*create())
    assert code == 0
    assert "500/500" in err


def test_progress_is_a_line_now_and_then_elsewhere(project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LINE_EVERY", 0.0)
    project.spec(rows=500)
    err = cli(*create())[2]
    assert "500 of 500 rows, done" in err


def test_no_run_yet(cli: Cli) -> None:
    assert "there is no run yet" in cli("run", "list")[1]
    code, _, err = cli("run", "show")
    assert code == 2
    assert "there is no run yet" in err


def test_variants_are_chosen(project: Project, cli: Cli) -> None:
    project.flow("pair", VARIANTS)
    project.data([{"x": 2}])
    cli(*create("--variant", "${power.three}"))
    run = project.runs.get("base")
    assert run.variants == {"power": "three"}
    assert project.rows(run)[0].outputs == {"y": 8}
    code, _, err = cli(*create("--name", "other", "--variant", "${power.four}"))
    assert code == 2
    assert "no variant 'four'" in err


def test_a_run_is_judged(project: Project, cli: Cli) -> None:
    project.spec(rows=4)
    project.flow("judge", JUDGE_FLOW)
    project.broken(1)
    cli(*create())
    mapping = ("-m", "truth=${run.inputs.x}", "-m", "answer=${run.outputs.y}")
    code, out, _ = cli("run", "create", "--flow", "flows/judge", "--run", "base", *mapping)
    assert code == 1
    assert "3 completed, 0 failed, 1 without a source row" in " ".join(out.split())
    assert "accuracy" in out


def test_exported_files_are_named(project: Project, cli: Cli) -> None:
    project.spec(rows=2)
    cli(*create())
    code, out, _ = cli("run", "export", "base", "--to", "out", "--format", "csv")
    assert code == 0
    assert (project.root / "out" / "rows.csv").exists()
    assert "rows.csv" in out
    assert cli("run", "export", "base", "--to", "out")[0] == 2


def test_a_run_is_deleted_when_confirmed(project: Project, cli: Cli) -> None:
    project.spec(rows=2)
    cli(*create())
    assert cli("run", "delete", "base", "--yes")[0] == 0
    assert project.runs.list() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "create"], "--flow PATH or --file run.yml"),
        (["run", "create", "--flow", "flows/none"], "no such flow"),
        (["run", "create", "--flow", "flows/pair"], "--data FILE"),
        (["run", "create", "--flow", "flows/pair", "--data", "none.csv"], "no such file"),
        (create("-m", "x"), "key=value"),
        (create("-m", "x=${data.nothing}"), "no row can be mapped"),
        (create("--variant", "power"), "${node.variant_id}"),
        (create("--connections", "a=b"), "NODE.PARAMETER=VALUE"),
        (["run", "show", "bse"], "there is no run 'bse'"),
        (["run", "resume", "nothing"], "there is no run 'nothing'"),
    ],
)
def test_mistakes_are_told_in_words(project: Project, cli: Cli, arguments: list[str], words: str) -> None:
    project.spec(rows=2)
    code, _, err = cli(*arguments)
    assert code == 2
    assert words in err


RUN_FILE = """
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Run.schema.json
flow: ../flows/pair
data: ../data.jsonl
name: filed
variant: ${power.three}
column_mapping:
  x: ${data.x}
  note: fixed
connections:
  power: {by: "2"}
environment_variables:
  MODE: test
tags: {team: a, size: 3}
runtime: automatic
"""


def test_prompt_flows_run_file_is_read(project: Project) -> None:
    path = project.root / "runs" / "run.yml"
    path.parent.mkdir()
    path.write_text(RUN_FILE)
    spec, ignored = load_run_file(path, project.root)
    assert (spec.flow, spec.data, spec.name) == ("flows/pair", "data.jsonl", "filed")
    assert spec.variants == {"power": "three"}
    assert spec.column_mapping == {"x": "${data.x}", "note": "fixed"}
    assert spec.connections == {"power": {"by": "2"}}
    assert spec.environment_variables == {"MODE": "test"}
    assert spec.tags == {"team": "a", "size": "3"}
    assert ignored == ["'runtime' in run.yml means nothing here and was ignored"]


def test_the_command_line_overrules_the_run_file(project: Project, cli: Cli) -> None:
    project.spec(rows=3)
    (project.root / "run.yml").write_text("flow: flows/pair\ndata: data.jsonl\nname: filed\nlimit: 1\ntags: {a: b}\n")
    code, _, _ = cli("run", "create", "--file", "run.yml", "--limit", "2", "--tag", "c=d", "--no-cache")
    assert code == 0
    run = project.runs.get("filed")
    assert run.counts.total == 2
    assert run.spec.tags == {"a": "b", "c": "d"}
    assert not run.spec.use_cache


def test_a_past_run_is_run_again(project: Project, cli: Cli) -> None:
    project.spec(rows=3)
    cli(*create("--limit", "2", "--tag", "a=b"))
    assert cli("run", "create", "--again", "base", "--name", "more", "--limit", "3")[0] == 0
    more, base = project.runs.get("more"), project.runs.get("base")
    assert (more.spec.flow, more.spec.tags, more.counts.total, base.counts.total) == ("flows/pair", {"a": "b"}, 3, 2)
    assert cli("run", "create", "--again", "base", "--file", str(project.root / "pilothouse.yaml"))[0] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flow: f\ncolumn_maping: {}\n", "did you mean 'column_mapping'"),
        ("flow: f\nrepeat: many\n", "run.yml:2"),
        ("data: d\n", "flow"),
        ("flow: [\n", "run.yml"),
    ],
)
def test_a_wrong_run_file_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "run.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_run_file(path, tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize("call", [lambda: parse_variants(["${a.b}", "${a.c}"]), lambda: parse_pairs(["=x"], "-m")])
def test_contradicting_and_empty_pairs_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(UserError):
        call()
