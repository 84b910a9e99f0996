"""Experiments logged to a real MLflow server, and what the server then has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner

from pilothouse.core.errors import UserError
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.tracking.service import TrackingService

from ..conftest import Project
from .conftest import MlflowServer


pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def log(project: Project, server: MlflowServer, group: str, *more: str) -> Any:
    arguments = ["log", "sms", "--to", f"mlflow:{server.address}", "--name", group, "--json", *more]
    result = CliRunner().invoke(experiment, arguments, obj=project.services, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_x(project: Project, mlflow_server: MlflowServer) -> None:
    project.run()
    said = log(project, mlflow_server, "grüße")
    print(said)
    client = mlflow.MlflowClient(mlflow_server.address, mlflow_server.address)
    e = client.get_experiment_by_name("grüße")
    for r in client.search_runs([e.experiment_id]):
        print(r.info.run_name, r.data.params, r.data.metrics, r.data.tags, r.inputs, [f.path for f in client.list_artifacts(r.info.run_id)])
    print(log(project, mlflow_server, "grüße"))
    print(client.search_logged_models([e.experiment_id]))
    assert 0
