"""The command line: what is printed, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import NotFound, UserError
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.runs.service import RunService

from .conftest import Project


@pytest.fixture
def call(project: Project, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(project.root)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(experiment, list(arguments), obj=project.services, standalone_mode=False)

    return run


def test_a_run_prints_the_comparison_the_paths_and_what_to_type_next(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    result = call("run", "experiment.yaml")
    assert (result.exception, result.return_value) == (None, 0)
    assert "few is better than zero" in result.stdout.replace("│\n│ ", "")
    assert "taken from cache: 0 of 120 calls" in result.stdout
    for path in ("reports/sms/1/report.html", "reports/sms/1/rows.csv", "reports/sms/1/summary.csv"):
        assert path in result.stdout
        assert (project.root / path).is_file()
    assert "next: pilothouse experiment report sms:1 --open" in result.stdout
    assert "1/3 zero: 40 rows" in result.stderr
    assert "1/3 zero, judging: 40 rows" in result.stderr
    assert (
        max(len(line) for line in result.stdout.splitlines() if not line.lstrip().startswith(("pilot", "edit"))) <= 80
    )
    again = call("run", "experiment.yaml")
    assert "taken from cache: 120 of 120 calls" in again.stdout
    assert "rows answered before: 120 of 120" in again.stdout


def test_failed_rows_end_with_1_and_say_where_to_look(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.data([("boom", "spam"), ("hello", "ham")])
    result = call("run", "experiment.yaml")
    assert result.return_value == 1
    assert "--failed" in result.stdout
    assert "1 of 2 rows of zero failed and count as the worst score." in result.stdout


def test_an_evaluator_that_raises_ends_with_1_and_shows_its_own_words(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.write("judges.py", "def length(label):\n    raise ValueError('cannot measure ' + label)\n")
    project.edit(
        "experiment.yaml",
        "primary:",
        "  - {use: judges.py:length, column_mapping: {label: '${run.outputs.label}'}}\nprimary:",
    )
    result = call("run", "experiment.yaml")
    said = " ".join(result.stdout.split())
    assert result.return_value == 1
    assert "The evaluator length failed on 40 rows of zero, first on row 0: ValueError: cannot measure ham" in said
    assert 'judges.py", line 2' in result.stderr
    assert result.stderr.count("Traceback") == 1


def test_json_is_for_programs(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    finding = json.loads(call("run", "experiment.yaml", "--json").stdout)
    assert finding["comparison"]["outcome"] == "better"
    assert finding["files"]["html"].endswith("report.html")
    assert json.loads(call("plan", "experiment.yaml", "--json").stdout)["done"] == 120
    assert [item["name"] for item in json.loads(call("list", "--json").stdout)] == ["sms"]
    assert json.loads(call("show", "--json").stdout)["record"]["status"] == "completed"
    names = [link["run"] for link in finding["record"]["runs"]]
    assert json.loads(call("compare", *names, "--metric", "macro_f1", "--json").stdout)["primary"] == "macro_f1"


def test_what_to_type_next_works_from_outside_the_project(
    project: Project, call, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path_factory.mktemp("else where"))
    result = call("run", str(project.root / "experiment.yaml"))
    assert f"next: pilothouse -C {project.root} experiment report sms:1 --open" in result.stdout


def test_a_file_of_another_project_is_not_run_with_the_settings_of_this_one(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.write("other shop/pilothouse.yaml", "{}\n")
    project.write("other shop/experiment.yaml", (project.root / "experiment.yaml").read_text())
    for verb in ("run", "plan"):
        error = call(verb, "other shop/experiment.yaml").exception
        assert isinstance(error, UserError)
        assert f"-C '{project.root / 'other shop'}'" in (error.fix or "")
    assert project.calls() == 0


def test_own_data_by_one_flag(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.write("mine.jsonl", '{"body": "a prize", "kind": "spam"}\n{"body": "hello", "kind": "ham"}\n')
    result = call(
        "run", "experiment.yaml", "--data", "mine.jsonl", "--map", "text=data.body", "--map", "label.truth=data.kind"
    )
    assert result.return_value == 0
    assert "2 rows" in result.stdout
    assert "2 rows are few" in result.stdout
    with pytest.raises(UserError, match="not a pair"):
        raise call("run", "experiment.yaml", "--map", "text").exception


def test_list_show_plan_and_report(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    assert "there is no experiment yet" in call("list").stdout
    planned = call("plan", "experiment.yaml", "--rows", "20").stdout
    assert "20 rows x 3 variants = 60" in planned
    assert "What 20 rows can find" in planned
    call("run", "experiment.yaml")
    assert "sms:1" in call("list").stdout
    shown = call("show", "sms").stdout
    assert "few is better than zero" in shown.replace("│\n│ ", "")
    assert "flows/sms" in shown
    assert call("report", "sms").stdout.split() == [
        "reports/sms/1/report.html", "reports/sms/1/rows.csv", "reports/sms/1/summary.csv",
    ]  # fmt: skip
    assert isinstance(call("show", "smss").exception, NotFound)


def test_runs_are_compared_with_a_named_evaluator_or_that_of_their_experiment(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    call("run", "experiment.yaml")
    names = [link.run for link in project.experiments.get("sms").runs]
    assert "accuracy" in call("compare", *names).stdout
    mapped = ("--map", "prediction=run.outputs.label", "--map", "truth=data.label")
    assert "exact_match" in call("compare", *names[:2], "-e", "exact_match", *mapped).stdout
    with pytest.raises(NotFound, match="there is no run"):
        raise call("compare", "none").exception


COMMAND = (sys.executable, "-c", "from pilothouse.cli.main import main; main()")


def test_a_killed_experiment_goes_on_where_it_was(project: Project) -> None:
    """`kill -9` in the middle; then the same command does the rest, every row once."""
    project.write(
        "connections/scripted.yaml", "name: scripted\ntype: scripted\nscript: script.yaml\nmodel: tiny\ndelay: '0.05'\n"
    )
    project.write("pilothouse.yaml", "{}\n")
    arguments = [*COMMAND, "experiment", "run", "experiment.yaml"]
    process = subprocess.Popen(
        arguments, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while project.calls() < 55:
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    runs = project.services.get(RunService)
    recorded = sum(run.counts.completed for run in runs.list())
    assert 40 <= recorded < 120
    assert project.experiments.get("sms").status == "interrupted"
    done = subprocess.run(arguments, cwd=project.root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert f"rows answered before: {recorded} of 120" in done.stdout
    for link in project.experiments.get("sms").runs:
        assert [row.number for row in runs.rows(link.run)] == list(range(40))
    assert project.experiments.comparison("sms").arm("few").estimates["accuracy"].value == 1.0
