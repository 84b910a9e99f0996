"""`migrate runs`: history comes over with its rows and metrics, its status honest, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.environment import Environment
from pilothouse.core.errors import NotFound
from pilothouse.experiments.migration.commands import migrate
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.workspace import Workspace

from ..recorded import books, row, run_folder

NAN = float("nan")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Workspace]:
    home = tmp_path / "home"
    rows = [row(0, {"x": 1}, {"y": NAN}, nodes={"n": ({}, 1), "m": None}), row(1, {"x": 2}, error="no 2")]
    run_folder(home / ".runs" / "mixed", rows, metrics={"share": 0.5, "odd": NAN})
    run_folder(home / ".runs" / "all-failed", [row(0, {"x": 1}, error="no 1")])
    run_folder(home / ".runs" / "judged", [row(0, {"y": 1}, {"ok": True})])
    books(
        home,
        {"name": "mixed", "tags": {"who": "me"}, "data": "/old/rows.jsonl"},
        {"name": "all-failed", "properties": {"node_variant": "${a.b}", "resume_from": "mixed"}},
        {"name": "judged", "properties": {"run": "mixed", "column_mapping": {"y": "${run.outputs.y}"}}},
    )
    with Workspace(tmp_path, environment=Environment({"PF_HOME_DIRECTORY": str(home)})) as workspace:
        yield workspace


def call(project: Workspace, *words: str, catch: bool = False) -> Result:
    return CliRunner().invoke(migrate, ["runs", *words], obj=project, catch_exceptions=catch)


def test_status_counts_and_metrics_are_honest(project: Workspace) -> None:
    assert call(project).exit_code == 0
    service = project.get(RunService)
    mixed, failed = service.get("mixed"), service.get("all-failed")
    assert (mixed.status, mixed.counts.completed, mixed.counts.failed) == ("completed_with_errors", 1, 1)
    assert (mixed.metrics, mixed.totals.usage.input_tokens) == ({"share": 0.5}, 14)
    assert mixed.spec.tags == {"who": "me", "imported": "prompt flow"}
    assert any("'odd' is nan" in note for note in mixed.notes)
    assert (failed.status, failed.variants) == ("failed", {"a": "b"})
    assert any("which called it Completed" in note for note in failed.notes)
    assert any("pairs rows wrongly" in note for note in failed.notes)
    assert service.get("judged").source_run == mixed.id


def test_rows_and_nodes_come_over(project: Workspace) -> None:
    call(project, "mixed")
    first, second = project.get(RunService).rows("mixed")
    assert (first.line_id, first.inputs, str(first.outputs["y"]), first.duration) == ("0", {"x": 1}, "nan", 0.25)
    assert [(node.node, node.status) for node in first.nodes] == [("m", "bypassed"), ("n", "completed")]
    assert second.error is not None
    assert second.error.message == "no 2"


def test_they_stand_at_their_own_time(project: Workspace) -> None:
    call(project)
    assert [run.name for run in project.get(RunService).list()] == ["judged", "all-failed", "mixed"]
    assert project.get(RunService).get("mixed").created_at.year == 2026


def test_a_second_time_nothing_is_doubled(project: Workspace) -> None:
    call(project, "mixed")
    again = json.loads(call(project, "--json").stdout)
    assert {item["name"]: item["exists"] for item in again} == {"mixed": True, "all-failed": False, "judged": False}
    assert len(project.get(RunService).list()) == 3


def test_what_cannot_be_read_is_told_and_the_others_come(project: Workspace) -> None:
    damaged = project.root / "home" / ".runs" / "mixed" / "inputs.jsonl"
    damaged.write_text("{")
    result = call(project)
    assert result.exit_code == 1
    assert "mixed: " in result.stdout
    assert "not JSON" in result.stdout
    assert {run.name for run in project.get(RunService).list()} == {"all-failed", "judged"}


def test_one_folder_can_be_brought_over(project: Workspace) -> None:
    assert call(project, "--from", str(project.root / "home" / ".runs" / "judged")).exit_code == 0
    assert [run.name for run in project.get(RunService).list()] == ["judged"]


def test_unknown_names_and_empty_places_are_refused(project: Workspace) -> None:
    with pytest.raises(NotFound, match="no run 'mixd'"):
        call(project, "mixd")
    with pytest.raises(NotFound, match="no runs of prompt flow"):
        call(project, "--from", str(project.root))


def test_history_can_be_evaluated(project: Workspace) -> None:
    call(project, "mixed")
    flow = project.root / "judge"
    flow.mkdir()
    (flow / "flow.flex.yaml").write_text("entry: judge:judge\n")
    (flow / "judge.py").write_text("def judge(x: int) -> dict:\n    return {'big': x > 1}\n")
    spec = RunSpec(flow="judge", source_run="mixed", column_mapping={"x": "${run.inputs.x}"})
    run = asyncio.run(project.get(RunService).execute(spec))
    assert (run.counts.completed, run.counts.missing) == (1, 1)
