"""Runs and prompts brought from a real MLflow server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import DataError
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.tracking.mlflow import connecting
from pilothouse.experiments.tracking.mlflow.reading import Table, columns_of, read_table, rows_of

from ..conftest import Project
from .conftest import MlflowServer

pytestmark = pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SADeprecationWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


def run(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(experiment, list(arguments), obj=project.services)


def brought(project: Project, server: MlflowServer, name: str, *more: str, code: int = 0) -> list[dict[str, Any]]:
    result = run(project, "import", f"mlflow:{server.address}", "--name", name, "--json", *more)
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)["runs"]


def test_runs_of_others_are_compared_row_by_row(
    project: Project, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connecting, "PAGE", 2)
    client = mlflow.MlflowClient(mlflow_server.address, mlflow_server.address)
    home = client.create_experiment("theirs")
    answers = {"old": ["ham", "spam", "ham"] * 10, "new": ["ham", "spam", "spam"] * 10}
    for name, labels in answers.items():
        made = client.create_run(home, run_name=name)
        client.log_param(made.info.run_id, "temperature", "0.5")
        client.log_metric(made.info.run_id, "accuracy", 0.7)
        client.log_metric(made.info.run_id, "odd", float("nan"))
        texts = [f"消息 {number}" for number in range(30)]
        table = pd.DataFrame({"inputs": texts, "targets": ["ham", "spam", "spam"] * 10, "outputs": labels})
        client.log_table(made.info.run_id, table, "eval_results_table.json")
        client.set_terminated(made.info.run_id)
    bare = client.create_run(home, run_name="bare")
    client.log_metric(bare.info.run_id, "loss", 1.5)
    client.set_terminated(bare.info.run_id)
    torn = client.create_run(home, run_name="torn")
    (tmp_path / "rows.json").write_text('{"columns": ["outputs"], "data": [[1], [')
    client.log_artifact(torn.info.run_id, str(tmp_path / "rows.json"))
    client.set_terminated(torn.info.run_id)
    found = {item["name"]: item for item in brought(project, mlflow_server, "theirs", code=1)}
    assert [found[name]["rows"] for name in ("old", "new", "bare", "torn")] == [30, 30, 0, 0]
    assert (found["bare"]["broken"], found["torn"]["broken"]) == (False, True)
    assert "no table of rows" in found["bare"]["reason"]
    assert "no table of MLflow" in found["torn"]["reason"]
    runs = project.services.get(RunService)
    old = runs.get(found["old"]["run"])
    assert (old.metrics, old.counts.completed) == ({"accuracy": 0.7}, 30)
    assert any("temperature = 0.5" in note for note in old.notes)
    assert any("no numbers were left out: odd" in note for note in old.notes)
    result = run(
        project, "compare", found["old"]["run"], found["new"]["run"], "--json", "--evaluator", "classification",
        "--map", "prediction=run.outputs.outputs", "--map", "truth=run.inputs.targets",
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    compared = json.loads(result.stdout)
    assert compared["comparisons"][0]["verdict"] == "better"
    again = brought(project, mlflow_server, "theirs", "old")
    assert [item["exists"] for item in again] == [True]
    assert "did you mean 'theirs'" in str(
        run(project, "import", f"mlflow:{mlflow_server.address}", "--name", "their").exception
    )


def test_what_was_logged_comes_back_and_pairs_with_what_is_here(
    project: Project, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    project.write("flows/sms/few.jinja2", "user:\nfew, zurück: {{text}}\n")
    finding = project.run()
    run(project, "log", "sms", "--to", f"mlflow:{mlflow_server.address}", "--name", "back")
    folder = tmp_path / "prompts"
    found = brought(project, mlflow_server, "back", "few", "--prompts", str(folder))
    runs = project.services.get(RunService)
    came, here = runs.get(found[0]["run"]), runs.get(finding.comparison.arm("few").run)
    assert came.data is not None
    assert here.data is not None
    assert came.data.digest == here.data.digest
    for theirs, ours in zip(runs.rows(came), runs.rows(here), strict=True):
        assert (theirs.key, theirs.inputs["text"], theirs.outputs) == (ours.key, ours.inputs["text"], ours.outputs)
    assert came.metrics["accuracy"] == 1.0
    written = (folder / "sms.classify.few.jinja2").read_text()
    assert written == (project.root / "flows/sms/few.jinja2").read_text()
    (folder / "sms.classify.few.jinja2").write_text("mine")
    result = run(project, "import", f"mlflow:{mlflow_server.address}", "--prompts", str(folder))
    assert result.exit_code == 1
    assert "another file stands there" in " ".join(result.output.split())
    assert (folder / "sms.classify.few.jinja2").read_text() == "mine"


def test_columns_by_whatever_name() -> None:
    table = Table(
        columns=("inputs/question", "context", "predictions", "exact_match/v1/score"),
        data=(("why?", ["a"], "so", 1.0),),
    )
    columns = columns_of(table)
    assert columns.left_out == ("exact_match/v1/score",)
    (row,) = rows_of(table, columns)
    assert (row.inputs, row.outputs) == ({"question": "why?", "context": ["a"]}, {"predictions": "so"})
    spread = Table(columns=("inputs", "outputs"), data=(({"a": 1}, {"b": 2}),))
    (row,) = rows_of(spread, columns_of(spread))
    assert (row.inputs, row.outputs) == ({"a": 1}, {"b": 2})
    other = Table(columns=("question", "reply"), data=(("q", "r"),))
    with pytest.raises(DataError, match="looks like an output"):
        columns_of(other)
    (row,) = rows_of(other, columns_of(other, ["reply"]))
    assert row.outputs == {"reply": "r"}


@pytest.mark.parametrize("text", ["", "[]", '{"columns": ["a"], "data": [[1, 2]]}', '{"columns": 1}', "\xff"])
def test_a_table_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError):
        read_table(tmp_path / "rows.json")
    (tmp_path / "rows.parquet").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError):
        read_table(tmp_path / "rows.parquet")
