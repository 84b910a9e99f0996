"""Prompt flow's commands from end to end: what happens, what is printed, and with which code they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pilothouse.cli import main as door
from pilothouse.cli import pf
from pilothouse.core.version import VERSION

from .conftest import Project


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.err.split())

    def json(self) -> object:
        return json.loads(self.out)


Call = Callable[..., Done]

RUN = ("run", "create", "--flow", "flows/support", "--data", "data/questions.csv", "--name", "base")


@pytest.fixture
def call(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(project.root)

    def run(*words: str) -> Done:
        with pytest.raises(SystemExit) as left:
            pf.main(list(words))
        out, err = capsys.readouterr()
        assert "defect in Pilothouse" not in err
        return Done(int(left.value.code or 0), out, err)

    return run


@pytest.fixture
def base(call: Call) -> Done:
    return call(*RUN, "--stream")


def break_a_row(project: Project) -> None:
    project.change(
        "flows/support/route.py",
        "return answer.upper()",
        "if answer == 'other':\n        raise ValueError('no team')\n    return answer.upper()",
    )


def test_flow_test_runs_the_flow(call: Call) -> None:
    done = call("flow", "test", "--flow", "flows/support", "--inputs", "question=where is my parcel")
    assert done.code == 0
    assert "team: SHIPPING" in done.out


def test_flow_test_runs_one_node(call: Call) -> None:
    done = call("flow", "test", "--flow", "flows/support", "--node", "route", "--inputs", "ask.output=x")
    assert done.code == 0
    assert "X" in done.out


def test_flow_test_ends_with_1_when_the_flow_fails(project: Project, call: Call) -> None:
    break_a_row(project)
    done = call("flow", "test", "--flow", "flows/support", "--inputs", "question=hello")
    assert done.code == 1
    assert "no team" in done.err


def test_flow_test_sets_variables_for_the_flow(project: Project, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_SUFFIX", "of another time")
    project.change("flows/support/route.py", "from pilothouse", "import os\n\nfrom pilothouse")
    project.change("flows/support/route.py", "answer.upper()", "os.environ['TEAM_SUFFIX']")
    words = ("flow", "test", "--flow", "flows/support", "--inputs", "question=x")
    assert "team: north" in call(*words, "--environment-variables", "TEAM_SUFFIX=north").out
    project.write("more.env", "TEAM_SUFFIX=south\n")
    assert "team: south" in call(*words, "--environment-variables", "more.env").out


def test_flow_test_names_a_wrong_input(call: Call) -> None:
    done = call("flow", "test", "--flow", "flows/support", "--inputs", "qestion=x")
    assert done.code == 2
    assert "did you mean 'question'" in done.said


def test_run_create_prints_the_record(base: Done) -> None:
    assert base.code == 0
    record = base.json()
    assert isinstance(record, dict)
    assert (record["name"], record["status"], record["counts"]["completed"]) == ("base", "completed", 2)


def test_run_create_maps_columns_and_sets_words(call: Call) -> None:
    done = call(*RUN, "--column-mapping", "question='${data.team}'", "--set", "display_name=First", "tags.kind=try")
    record = done.json()
    assert isinstance(record, dict)
    assert record["spec"]["column_mapping"] == {"question": "${data.team}"}
    assert (record["spec"]["display_name"], record["spec"]["tags"]) == ("First", {"kind": "try"})


def test_run_create_reads_a_run_file_and_data_beside_it(project: Project, call: Call) -> None:
    project.write("batch/run.yml", "flow: ../flows/support\ndata: none.csv\n")
    project.write("batch/other.csv", "question\nparcel\n")
    done = call("run", "create", "-f", "batch/run.yml", "--data", "other.csv", "-n", "filed")
    assert done.code == 0
    record = done.json()
    assert isinstance(record, dict)
    assert record["data"]["source"].endswith("batch/other.csv")


def test_a_run_with_failed_rows_is_not_called_completed_and_ends_with_1(project: Project, call: Call) -> None:
    break_a_row(project)
    done = call(*RUN)
    assert done.code == 1
    record = done.json()
    assert isinstance(record, dict)
    assert (record["status"], record["counts"]["failed"]) == ("completed_with_errors", 1)


def test_a_taken_name_is_a_clear_conflict(base: Done, call: Call) -> None:
    assert base.code == 0
    done = call(*RUN)
    assert done.code == 2
    assert "there is a run named 'base' already" in done.said


def test_resume_from_makes_a_new_run_after_the_flow_was_mended(project: Project, call: Call) -> None:
    sound = (project.root / "flows/support/route.py").read_text()
    break_a_row(project)
    assert call(*RUN).code == 1
    project.write("flows/support/route.py", sound)
    done = call("run", "create", "--resume-from", "base", "--name", "mended", "--set", "tags.why=mended")
    assert done.code == 0
    record = done.json()
    assert isinstance(record, dict)
    assert (record["name"], record["status"], record["spec"]["tags"]) == ("mended", "completed", {"why": "mended"})
    assert any("the flow flows/support changed" in note for note in record["notes"])
    assert call("run", "show", "-n", "base").out.count('"completed_with_errors"') >= 1


def test_run_update_changes_words(base: Done, call: Call) -> None:
    assert base.code == 0
    done = call("run", "update", "-n", "base", "--set", "display_name=New", "description=a b", "tags.k=v")
    record = done.json()
    assert isinstance(record, dict)
    assert [record["spec"][key] for key in ("display_name", "description", "tags")] == ["New", "a b", {"k": "v"}]


def test_run_list_as_json_and_as_a_table(base: Done, call: Call) -> None:
    assert base.code == 0
    rows = call("run", "list").json()
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == ["base"]
    assert "base" in call("run", "list", "--output", "table").out


def test_an_archived_run_is_hidden_until_it_is_restored(base: Done, call: Call) -> None:
    assert base.code == 0
    assert call("run", "archive", "--name", "base").code == 0
    assert call("run", "list").json() == []
    assert len(call("run", "list", "--archived-only").json()) == 1  # type: ignore[arg-type]
    assert len(call("run", "list", "--include-archived").json()) == 1  # type: ignore[arg-type]
    call("run", "restore", "--name", "base")
    assert len(call("run", "list").json()) == 1  # type: ignore[arg-type]


def test_run_show_and_a_missing_run(base: Done, call: Call) -> None:
    assert base.code == 0
    record = call("run", "show", "--name", "base").json()
    assert isinstance(record, dict)
    assert record["name"] == "base"
    done = call("run", "show", "--name", "bse")
    assert done.code == 2
    assert "did you mean 'base'?" in done.said


def test_run_show_details_has_a_column_for_each_input_and_output(base: Done, call: Call) -> None:
    assert base.code == 0
    done = call("run", "show-details", "-n", "base", "-r", "1")
    assert "inputs.line_number" in done.out
    assert "outputs.team" in done.out
    assert "--all-results" in done.err
    assert "--all-results" not in call("run", "show-details", "-n", "base", "--all-results").err


def test_run_show_metrics(base: Done, call: Call) -> None:
    assert base.code == 0
    done = call("run", "show-metrics", "-n", "base")
    assert (done.code, done.json()) == (0, {})
    assert "its flow logged none" in done.err


def test_run_stream_of_an_ended_run_tells_how_it_ended(project: Project, call: Call) -> None:
    break_a_row(project)
    call(*RUN)
    assert call("run", "stream", "-n", "base").code == 1


def test_run_cancel_of_an_ended_run_changes_nothing(base: Done, call: Call) -> None:
    assert base.code == 0
    record = call("run", "cancel", "-n", "base").json()
    assert isinstance(record, dict)
    assert record["status"] == "completed"


def test_run_visualize_writes_one_page(project: Project, base: Done, call: Call) -> None:
    assert base.code == 0
    call(*RUN[:-1], "second")
    done = call("run", "visualize", "--names", "base, second", "--html-path", "page.html")
    assert done.code == 0
    page = (project.root / "page.html").read_text()
    assert page.count("<!doctype html>") == 1
    assert "2 runs side by side" in page


def test_run_delete(base: Done, call: Call) -> None:
    assert base.code == 0
    assert call("run", "delete", "-n", "base", "-y").code == 0
    assert call("run", "show", "-n", "base").code == 2


def test_connection_create_writes_references(project: Project, call: Call) -> None:
    project.write("azure.yml", "$schema: x\nname: azure\ntype: azure_open_ai\napi_key: <user-input>\napi_base: a\n")
    done = call("connection", "create", "-f", "azure.yml", "--set", "api_version=2024-02-01", "--name", "mine")
    assert done.code == 0
    text = (project.root / "connections/mine.yaml").read_text()
    assert "api_key: ${env:MINE_API_KEY}" in text
    assert "api_version: '2024-02-01'" in text
    assert call("connection", "create", "-f", "azure.yml", "--name", "mine").code == 0


def test_connection_create_refuses_a_clear_secret_with_the_cure(project: Project, call: Call) -> None:
    project.write("open.yml", "name: open\ntype: open_ai\napi_key: <user-input>\n")
    done = call("connection", "create", "-f", "open.yml", "--set", "api_key=sk-0123456789")
    assert done.code == 2
    assert "OPEN_API_KEY" in done.said
    assert "sk-0123456789" not in done.out + done.err
    assert not (project.root / "connections/open.yaml").exists()
    project.write("clear.yml", "name: open\ntype: open_ai\napi_key: sk-0123456789\n")
    done = call("connection", "create", "-f", "clear.yml")
    assert done.code == 2
    assert "sk-0123456789" not in done.out + done.err


def test_connection_create_of_an_env_file(project: Project, call: Call) -> None:
    project.write("custom.env", "TOKEN=secret-0123456789\nREGION=north\n")
    assert call("connection", "create", "-f", "custom.env", "--name", "shop").code == 0
    text = (project.root / "connections/shop.yaml").read_text()
    assert "TOKEN: ${env:TOKEN}" in text
    assert "secret-0123456789" not in text
    assert call("connection", "create", "-f", "custom.env").code == 2


def test_connection_update_show_list_and_delete(project: Project, call: Call) -> None:
    project.write("azure.yml", "name: azure\ntype: azure_open_ai\napi_key: <user-input>\napi_base: a\n")
    call("connection", "create", "-f", "azure.yml")
    assert call("connection", "update", "-n", "azure", "--set", "api_base=b", "api_key=***").code == 0
    shown = call("connection", "show", "-n", "azure").json()
    assert isinstance(shown, dict)
    fields = {field["key"]: field["text"] for field in shown["fields"]}
    assert (fields["api_base"], fields["api_key"]) == ("b", "${env:AZURE_API_KEY}")
    listed = call("connection", "list").json()
    assert isinstance(listed, list)
    assert "azure" in [entry["name"] for entry in listed]
    assert call("connection", "delete", "-n", "azure", "--yes").code == 0
    assert not (project.root / "connections/azure.yaml").exists()
    assert call("connection", "delete", "-n", "local", "--yes").code == 2
    assert call("connection", "update", "-n", "local", "--set", "model=x").code == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("service", "start"), 0, "no service is needed"),
        (("upgrade",), 2, "pip install --upgrade pilothouse"),
        (("config", "set", "telemetry.enabled=false"), 0, "no telemetry"),
        (("trace", "delete", "--run", "base"), 2, "retention_days"),
        (("run", "lst"), 2, "did you mean 'list'"),
        (("run", "show-details", "-n", "base", "-r", "0"), 2, "0"),
        (("run", "update", "-n", "base", "--set", "status=done"), 2, "cannot be changed"),
        (("run", "list", "--archived-only", "--include-archived"), 2, "one of them"),
        (("run", "create", "--flow", "flows/none", "--data", "data/questions.csv"), 2, "flows/none"),
        (("run", "create", "--flow", "flows/support", "--data", "x.csv"), 2, "x.csv"),
        (("run", "create", "--flow", "flows/support", "--set", "colum_mapping.x=y"), 2, "'column_mapping'"),
        (("run", "visualize", "-n", "none", "--html-path", "p.html"), 2, "no run"),
    ],
)
def test_answers_and_mistakes(call: Call, base: Done, words: tuple[str, ...], code: int, says: str) -> None:
    assert base.code == 0
    done = call(*words)
    assert done.code == code
    assert says in done.said


def test_version_and_the_words_before_a_command(call: Call) -> None:
    assert call("--version").out.split() == ["pilothouse", VERSION]
    assert call("--explain", "run", "list", "-o", "table").out == "pilothouse run list\n"
    assert call("--explain", "service", "start").out.startswith("no service")
    assert "ignored" in call("connection", "list", "-r", "3").err
    assert call("-q", "connection", "list", "-r", "3").err == ""


def test_the_hint_is_for_people(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "here:" not in call("run", "list").err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert call("run", "list", "--output", "table").err.count("here: pilothouse run list") == 1
    assert call("-q", "run", "list").err == ""


def test_it_is_a_hidden_command_of_ours_too(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        door.main(["-C", str(project.root), "pf", "connection", "show", "--name", "scripted"])
    assert not left.value.code
    assert json.loads(capsys.readouterr().out)["name"] == "scripted"
    with pytest.raises(SystemExit):
        door.main(["--help"])
    assert " pf " not in capsys.readouterr().out


@pytest.mark.parametrize("program", [["-m", "pilothouse.cli.pf"], ["-m", "pilothouse", "pf"]])
def test_it_runs_as_a_module(project: Project, program: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *program, "run", "show", "--name", "none"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "error:" in done.stderr


def test_the_script_is_installed() -> None:
    script = Path(sys.executable).with_name("pf")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, env={"PATH": os.defpath})
    assert done.stdout.split() == ["pilothouse", VERSION]
