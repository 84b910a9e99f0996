"""`init`, `doctor`, and how errors reach the user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pilothouse.cli import doctor as checks
from pilothouse.cli import main as door
from pilothouse.cli.demo import demo
from pilothouse.cli.doctor import Finding
from pilothouse.cli.main import pilothouse
from pilothouse.cli.project import template_names, write_template
from pilothouse.core import plugins
from pilothouse.core.errors import Conflict, ModelError, NotFound, UserCodeError

from .conftest import Project

PROGRAM = [sys.executable, "-m", "pilothouse"]


def call(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_init_writes_a_project_that_doctor_accepts(tmp_path: Path) -> None:
    made = call("init", "shop", cwd=tmp_path)
    assert made.returncode == 0
    assert (tmp_path / "shop" / "flows" / "sms_spam" / "flow.dag.yaml").is_file()
    assert (tmp_path / "shop" / ".gitignore").is_file()
    report = call("doctor", "--json", cwd=tmp_path / "shop")
    assert report.returncode == 0, report.stdout + report.stderr
    found = {finding["subject"]: finding["state"] for finding in json.loads(report.stdout)}
    assert found["project"] == found["database"] == "ok"


def test_what_to_type_next_can_be_typed_for_a_folder_with_a_space(tmp_path: Path) -> None:
    made = call("init", "my shop", cwd=tmp_path)
    assert "  cd 'my shop' && pilothouse model pull" in made.stdout


def test_doctor_tells_of_a_missing_key_and_of_models(project: Project) -> None:
    project.write("connections/hosted.yaml", "name: hosted\ntype: open_ai\napi_key: ${env:HOSTED_API_KEY}\n")
    report = project.call("doctor", "--json")
    found = {finding["subject"]: finding for finding in json.loads(report.stdout)}
    assert report.returncode == 0
    assert found["connection scripted"]["state"] == "ok"
    assert found["connection hosted"]["state"] == "note"
    assert "HOSTED_API_KEY" in found["connection hosted"]["says"]
    assert "pilothouse model pull" in found["local model"]["says"]
    project.write("connections/broken.yaml", "name: broken\n")
    assert project.call("doctor").returncode == 1


def test_brackets_in_a_finding_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    says = 'not installed: pip install "pilothouse[local]"'
    monkeypatch.setattr(checks, "findings", lambda _: [Finding(subject="extra local", state="note", says=says)])
    assert says in CliRunner().invoke(checks.doctor, obj=object(), standalone_mode=False).output


def test_the_project_is_found_from_any_folder_of_it_and_paths_from_both(project: Project) -> None:
    flow = ("run", "create", "--flow", "flows/support", "--data", "data/questions.csv")
    inside, outside = project.root / "flows", project.root.parent
    assert call("-C", str(inside), *flow, cwd=outside).returncode == 0
    assert call(*flow, cwd=inside).returncode == 0
    assert len(json.loads(call("run", "list", "--json", cwd=inside).stdout)) == 2
    assert not (inside / ".pilothouse").exists()
    missing = call("-C", "nowhere", "run", "list", cwd=outside)
    assert (missing.returncode, "does not exist" in missing.stderr) == (2, True)


def test_the_steps_of_the_demo_can_be_typed_as_they_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def step(words: tuple[str, ...]) -> None:
        click.echo(f"ran {' '.join(words[:2])}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "load", lambda _group, _name: step)
    done = CliRunner().invoke(demo, ["my demo", "--rows", "12"], standalone_mode=False)
    assert done.exception is None
    assert "$ pilothouse -C 'my demo' dataset pull sms-spam --rows 12 --to 'my demo/data' --force" in done.stderr
    assert "$ pilothouse -C 'my demo' experiment run 'my demo/experiment.yaml'" in done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("ran")] == [
        "ran pull smollm2-135m-instruct", "ran pull sms-spam", "ran run my demo/experiment.yaml"
    ]  # fmt: skip
    assert "  cd 'my demo'" in done.stdout


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    write_template("sms_spam", tmp_path)
    with pytest.raises(Conflict, match="exist already"):
        write_template("sms_spam", tmp_path)
    with pytest.raises(NotFound, match="sms_spam"):
        write_template("sms_spma", tmp_path / "other")


def test_every_template_is_whole() -> None:
    assert "sms_spam" in template_names()


def test_a_broken_setting_is_one_message_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "pilothouse.yaml").write_text("storage:\n  databse: x\n")
    done = call("run", "list", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'pilothouse.yaml'}:2: unknown key 'databse'")
    assert "Traceback" not in done.stderr
    assert call("doctor", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("name", plugins.names("commands"))
def test_every_command_can_be_loaded_and_explains_itself(name: str) -> None:
    done = CliRunner().invoke(pilothouse, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "usage:" in done.output.lower()


def test_an_unknown_command_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = call("experimnt", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'experiment'?" in done.stderr


def test_the_door_turns_errors_into_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: BaseException) -> int:
        def command() -> None:
            raise error

        return door.door(command)

    assert fail(NotFound("no such thing")) == 2
    assert fail(ModelError("refused")) == 3
    assert fail(UserCodeError("it raised", traceback="File 'tool.py', line 3")) == 1
    assert fail(KeyboardInterrupt()) == 130
    assert "tool.py" in capsys.readouterr().err
    assert fail(ZeroDivisionError("ours")) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "defect in Pilothouse" in said


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["doctor", "--json"], ["flow", "list"]])
def test_a_reader_that_leaves_is_no_error(project: Project, arguments: list[str]) -> None:
    with project.start(*arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")
