"""Experiments logged to a real MLflow server, and what the server then has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from pilothouse.core.environment import Environment
from pilothouse.core.settings import Settings
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.settings import ExperimentSettings
from pilothouse.experiments.tracking.content import tracked_of
from pilothouse.experiments.tracking.mlflow import connecting
from pilothouse.experiments.tracking.mlflow.publishing import MlflowTracker

from ..conftest import Project
from .conftest import Door, MlflowServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred:UserWarning",
    "ignore::sqlalchemy.exc.SADeprecationWarning",
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
)


def run(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(experiment, list(arguments), obj=project.services)


def log(project: Project, address: str, group: str) -> Any:
    result = run(project, "log", "sms", "--to", f"mlflow:{address}", "--name", group, "--json")
    assert result.exit_code == 0, (
        result.output,
        result.exception,
        repr(getattr(result.exception, "__cause__", None))[:600],
    )
    return json.loads(result.stdout)


def settings(project: Project, tracking: str | None = None, **environment: str) -> None:
    """Give the project another environment and tracker."""
    section: Any = ExperimentSettings(tracking=tracking)
    project.services.settings = Settings(project.root, Environment(environment), {"experiments": section})


def client_of(server: MlflowServer) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(server.address, server.address)


def runs_of(server: MlflowServer, group: str) -> dict[str, Any]:
    client = client_of(server)
    home = client.get_experiment_by_name(group)
    assert home is not None
    found = client.search_runs([home.experiment_id])
    assert len({item.info.run_name for item in found}) == len(found)
    return {item.info.run_name: item for item in found}


def test_an_experiment_becomes_runs_with_everything(
    project: Project, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("flows/sms/few.jinja2", "system:\nOrdne Nachrichten: 消息 🙂\n\nuser:\nfew: {{text}}\n")
    finding = project.run()
    said = log(project, mlflow_server.address, "grüße 消息")
    assert (said["runs"], said["updated"], said["rows"], said["models"], said["notes"]) == (4, 0, 120, 3, [])
    runs, client = runs_of(mlflow_server, "grüße 消息"), client_of(mlflow_server)
    parent = runs.pop("sms:1")
    assert parent.info.status == "FINISHED"
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "report.html", "report.json", "rows.csv", "summary.csv",
    }  # fmt: skip
    for item in finding.comparison.comparisons:
        name = f"{item.candidate}.{item.metric}.difference"
        assert parent.data.metrics[name] == item.difference.value
        assert parent.data.metrics.get(f"{name}.p_adjusted") == item.p_adjusted
        assert parent.data.tags[f"pilothouse.verdict.{item.candidate}.{item.metric}"] == item.verdict
    assert set(runs) == {"zero", "few", "strict"}
    for arm in finding.comparison.arms:
        there = runs[arm.name]
        assert there.data.tags["mlflow.parentRunId"] == parent.info.run_id
        figure = arm.estimates["accuracy"]
        assert figure.interval is not None
        assert [there.data.metrics[f"accuracy{end}"] for end in ("", ".low", ".high", ".n")] == [
            figure.value, figure.interval.low, figure.interval.high, 40,
        ]  # fmt: skip
        assert (there.data.params["choice.classify"], there.data.params["seed"]) == (arm.name, "7")
        assert there.data.params["node.classify.temperature"] == "0"
        (data,) = there.inputs.dataset_inputs
        assert there.data.params["data.digest"].startswith(data.dataset.digest)
        (linked,) = json.loads(there.data.tags["mlflow.linkedPrompts"])
        prompt = client.get_prompt_version(linked["name"], linked["version"])
        assert prompt.template == (project.root / f"flows/sms/{arm.name}.jinja2").read_text()
        file = json.loads(Path(client.download_artifacts(there.info.run_id, "rows.json", str(tmp_path))).read_text())
        table = [dict(zip(file["columns"], row, strict=True)) for row in file["data"]]
        assert len(table) == 40
        assert sum(row["right"] for row in table) / 40 == figure.value
        assert {row["states.label"] for row in table} == {"ok"}
        assert json.loads(there.data.tags["mlflow.loggedArtifacts"]) == [{"path": "rows.json", "type": "table"}]
    model_predicts(mlflow_server, runs["few"], tmp_path, monkeypatch)


def test_logged_again_nothing_is_doubled_and_a_changed_flow_is_said(
    project: Project, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "PAGE", 1)
    project.run()
    first = log(project, mlflow_server.address, "again")
    before = runs_of(mlflow_server, "again")
    second = log(project, mlflow_server.address, "again")
    after = runs_of(mlflow_server, "again")
    assert (second["updated"], second["target"], second["prompts"]) == (4, first["target"], 3)
    assert {name: item.info.run_id for name, item in before.items()} == {
        name: item.info.run_id for name, item in after.items()
    }
    client = client_of(mlflow_server)
    assert len(client.search_logged_models([before["few"].info.experiment_id])) == 3
    assert len(client.search_prompt_versions("sms.classify.zero")) == 1
    project.write("flows/sms/zero.jinja2", "user:\nzero, otherwise: {{text}}\n")
    third = log(project, mlflow_server.address, "again")
    assert third["notes"] == ["prompts and models were left out: the flow has changed since the experiment was run"]
    assert third["updated"] == 4


def model_predicts(server: MlflowServer, few: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logged flow can be loaded, asked and registered."""
    client = client_of(server)
    (model,) = client.search_logged_models(
        [few.info.experiment_id], filter_string=f"source_run_id = '{few.info.run_id}'"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    uri = f"models:/{model.model_id}"
    place = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(tmp_path), tracking_uri=server.address)
    loaded = mlflow.pyfunc.load_model(place)
    assert loaded.predict([{"text": "tricky offer"}, {"text": "hello"}]) == [{"label": "spam"}, {"label": "ham"}]
    frame = pd.DataFrame({"text": ["odd remark", "a prize"]})
    assert loaded.predict(frame) == [{"label": "ham"}, {"label": "spam"}]
    client.create_registered_model("sms-flow")
    version = client.create_model_version("sms-flow", uri, model_id=model.model_id)
    assert (version.status, version.source.rpartition("/")[2]) == ("READY", model.model_id)


def test_what_mlflow_does_not_take_is_made_to_fit_and_said(project: Project, mlflow_server: MlflowServer) -> None:
    project.run()
    experiments = project.services.get(ExperimentService)
    record, found = experiments.get("sms"), experiments.comparison("sms")
    tracked = tracked_of(record, found, experiments.arms(record), project.root, ())
    odd = {"größe.f1": 0.5, "gr_ße.f1": 0.25, "a/../b": 1.0, "@": 0.0, "x" * 400: 2.0}
    many = {f"p{number}": str(number) for number in range(250)}
    arm = structs.replace(
        tracked.arms[0], params={**many, "long": "ü" * 7000, "half": "\ud800"}, metrics=odd, flow=None, prompts=()
    )
    tracker = MlflowTracker(project.services, mlflow_server.address, Environment({}))
    done = tracker.log(structs.replace(tracked, arms=(arm,)), "limits")
    there = runs_of(mlflow_server, "limits")[arm.name]
    assert sorted(there.data.metrics.values()) == sorted(odd.values())
    assert len(there.data.params) == 252
    assert len(there.data.params["long"]) == 6000
    assert there.data.params["half"] == "\\ud800"
    assert done.notes == ("params too long for MLflow are whole in params.json: long",)
    changed = structs.replace(arm, params={**arm.params, "p3": "other"})
    done = tracker.log(structs.replace(tracked, arms=(changed,)), "limits")
    assert "MLflow keeps params as they were first logged: p3" in done.notes


def test_a_server_that_goes_away_in_the_middle_is_made_good_by_the_same_command(
    project: Project, mlflow_server: MlflowServer
) -> None:
    project.run()
    settings(project, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    with Door(mlflow_server.address, most=25) as door:
        result = run(project, "log", "--to", f"mlflow:{door.address}", "--name", "gone")
        assert result.exit_code != 0
        assert "does not answer" in str(result.exception)
        half = runs_of(mlflow_server, "gone")
        assert half["sms:1"].info.status == "RUNNING"
        door.most = 1_000_000
        settings(project)
        said = log(project, door.address, "gone")
    assert said["updated"] == len(half)
    whole = runs_of(mlflow_server, "gone")
    assert {item.info.status for item in whole.values()} == {"FINISHED"}
    assert len(whole) == 4


def test_a_tracker_that_does_not_answer_spoils_no_run(project: Project, mlflow_server: MlflowServer) -> None:
    settings(project, "mlflow:http://127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    result = run(project, "run", str(project.file))
    assert result.exit_code == 0, result.output
    assert "not logged: 1 experiment could not be logged" in result.stderr
    assert "pilothouse experiment log sms:1" in result.stderr
    settings(project, f"mlflow:{mlflow_server.address}")
    project.services._built.clear()
    result = run(project, "run", str(project.file))
    assert "logged 4 runs" in result.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mlflow:localhost", "no address of an MLflow server"),
        ("mlflow:", "no address"),
        ("mlflow:http://me:hunter2@host:1", "holds a user or a password"),
        ("comet:x", "is no tracker"),
        ("wandb:", "names no folder"),
        ("http://me:hunter2@host:1", "is no tracker"),
    ],
)
def test_a_wrong_target_is_said_before_anything_is_asked(project: Project, target: str, words: str) -> None:
    project.run()
    result = run(project, "log", "--to", target)
    assert words in str(result.exception)
    assert "hunter2" not in str(result.exception)
    result = run(project, "log")
    assert "not said where" in str(result.exception)


def test_a_token_is_sent_and_never_shown(project: Project) -> None:
    project.run()
    settings(project, MLFLOW_TRACKING_TOKEN="s3cret-token", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    with Door("http://127.0.0.1:9", status=401) as door:
        result = run(project, "log", "--to", f"mlflow:{door.address}")
    assert door.headers[0]["Authorization"] == "Bearer s3cret-token"
    assert "refuses access" in str(result.exception)
    assert "MLFLOW_TRACKING_TOKEN" in str(result.exception)
    assert "s3cret" not in str(result.exception) + result.output


WATCHED = """
import sys
from pathlib import Path

seen = set()


def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        seen.add(arguments[1][0])
    elif event == "socket.getaddrinfo":
        seen.add(str(arguments[0]))


sys.addaudithook(watch)
from pilothouse.workspace import Workspace
from pilothouse.experiments.tracking.service import TrackingService

with Workspace(Path(sys.argv[1])) as workspace:
    workspace.get(TrackingService).log("sms", sys.argv[2], "quiet")
import threading, time
for thread in threading.enumerate():
    if thread is not threading.main_thread() and not thread.daemon:
        thread.join(5)
print(sorted(seen))
print([thread.name for thread in threading.enumerate() if "elemetry" in thread.name])
"""


def test_nothing_is_told_to_anybody_else(project: Project, mlflow_server: MlflowServer) -> None:
    project.run()
    project.write("pilothouse.yaml", "{}\n")
    project.services.close()
    # MLflow is quiet in tests by itself: its makers look for what marks one.
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(project.root)}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(project.root), f"mlflow:{mlflow_server.address}"],
        env=bare, cwd=project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['127.0.0.1']", "[]"]
    assert done.stderr == ""
    assert not (project.root / "mlflow.db").exists()
    assert not (project.root / "mlruns").exists()
