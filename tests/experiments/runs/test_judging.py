"""Runs over runs: an evaluation flow is fed by the outputs of another run, joined by line id."""

from __future__ import annotations

import msgspec
import pytest

from pilothouse.core.errors import Conflict, DataError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.types import Counts, Run
from pilothouse.registry.service import RegistryService

from .conftest import JUDGE_FLOW, Project

MAPPING = {"truth": "${run.inputs.x}", "answer": "${run.outputs.y}"}


def judged(project: Project, base: Run, **more: object) -> Run:
    project.flow("judge", JUDGE_FLOW)
    more = {"column_mapping": MAPPING, **more}
    return project.run(project.spec("judge", source_run=base.name, **more))


def test_outputs_of_a_run_are_judged(project: Project) -> None:
    base = project.run(project.spec(rows=20))
    run = judged(project, base)
    assert run.source_run == base.id
    assert run.counts == Counts(total=20, completed=20)
    assert run.metrics == {"accuracy": 1.0}
    assert project.rows(run)[4].inputs == {"truth": 4, "answer": 8}


def test_rows_that_the_source_run_has_no_answer_for_are_counted_and_told(project: Project) -> None:
    project.broken(2, 3)
    base = project.run(project.spec(rows=10))
    run = judged(project, base)
    assert run.counts == Counts(total=10, completed=8, missing=2)
    assert run.status == "completed_with_errors"
    assert not run.within_limit
    missing = project.rows(run, status="missing")
    assert [row.line_id for row in missing] == ["2", "3"]
    assert missing[0].error is not None
    assert "no answer for 2" in missing[0].error.message
    assert "metrics are over 8 of 10 rows; the others have no answer" in run.notes


def test_missing_rows_are_judged_once_the_source_run_was_resumed(project: Project) -> None:
    project.broken(2, 3)
    base = project.run(project.spec(rows=10))
    run = judged(project, base)
    project.broken()
    project.resume(base.name)
    assert project.resume(run.name).counts == Counts(total=10, completed=10)


def test_data_and_a_run_are_joined_by_line_id_not_by_position(project: Project) -> None:
    rows = [{"id": f"r{number}", "x": number} for number in range(6)]
    base = project.run(project.spec(data=project.data(rows), id_column="id"))
    truths = [{"id": row["id"], "truth": row["x"]} for row in reversed(rows[:4])] + [{"id": "other", "truth": 0}]
    data = project.data(truths, "truths.jsonl")
    mapping = {"truth": "${data.truth}", "answer": "${run.outputs.y}"}
    run = judged(project, base, data=data, id_column="id", column_mapping=mapping)
    assert run.counts == Counts(total=5, completed=4, missing=1)
    assert run.metrics == {"accuracy": 1.0}
    assert [row.line_id for row in project.rows(run)] == ["r3", "r2", "r1", "r0", "other"]
    assert "the source run has 2 answered rows that the data does not name" in run.notes


def test_columns_of_the_data_come_from_the_source_runs_own_data(project: Project) -> None:
    rows = [{"x": number, "label": number} for number in range(5)]
    base = project.run(project.spec(data=project.data(rows)))
    mapping = {"truth": "${data.label}", "answer": "${run.outputs.y}"}
    run = judged(project, base, column_mapping=mapping)
    assert run.metrics == {"accuracy": 1.0}
    assert run.data is not None
    assert run.data.source == "data.jsonl"
    project.data([{"x": 0, "label": 9}])
    with pytest.raises(Conflict, match="has changed since"):
        judged(project, base, column_mapping=mapping)


def test_repetitions_are_judged_one_by_one(project: Project) -> None:
    base = project.run(project.spec(rows=3, repeat=2))
    run = judged(project, base, repeat=2)
    assert run.repeat == 4
    assert [row.key for row in project.rows(run)] == [(str(n), r) for n in range(3) for r in range(4)]
    assert run.counts == Counts(total=12, completed=12)


def test_an_output_that_the_source_run_does_not_have_is_one_error(project: Project) -> None:
    base = project.run(project.spec(rows=3))
    with pytest.raises(DataError, match=r"\$\{run.outputs.z\}"):
        judged(project, base, column_mapping={**MAPPING, "answer": "${run.outputs.z}"})


def test_a_run_that_has_not_ended_is_not_judged(project: Project) -> None:
    base = project.run(project.spec(rows=3))
    project.runs._store.update(msgspec.structs.replace(base, status="running"))
    journal = project.root / ".pilothouse" / "runs" / base.id / "rows.jsonl"
    with AppendLog(journal), pytest.raises(Conflict, match="has not ended yet"):
        judged(project, base)


def test_rows_that_an_interrupted_run_never_came_to_are_counted(project: Project) -> None:
    base = project.run(project.spec(rows=10))
    journal = project.root / ".pilothouse" / "runs" / base.id / "rows.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:6]))
    project.runs._store.update(msgspec.structs.replace(base, status="running"))
    run = judged(project, base)
    assert run.counts == Counts(total=10, completed=6, missing=4)


def test_the_lineage_tells_which_run_judges_which(project: Project) -> None:
    base = project.run(project.spec(rows=3, name="base"))
    judged(project, base, name="verdict")
    edges = project.workspace.get(RegistryService).lineage("run/base:1", "down")
    assert ("run/verdict:1", "evaluated_by") in {(edge.target, edge.relation) for edge in edges}
