"""Interrupted, failed and killed runs go on; every row counts once, in input order."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from pilothouse.core.errors import Conflict, NotFound, StorageError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.types import Counts, Progress, Run

from .conftest import PAIR_FLOW, Project

WAITING = """
    import time
    from pathlib import Path
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        go = Path(__file__).parents[2] / "go.txt"
        while x >= 100 and not go.exists():
            time.sleep(0.005)
        return 2 * x
"""
"""Answers the first hundred numbers at once and the others when `go.txt` is there."""


def stopped(project: Project, *, urgent: bool = False, rows: int = 400) -> Run:
    """Run until the first hundred rows are recorded, stop, and return the interrupted run."""
    spec = project.spec(rows=rows, name="base")
    project.flow("pair", {"double.py": WAITING})
    go = project.root / "go.txt"

    async def work() -> Run:
        stop = Stop()

        def watch(seen: Progress) -> None:
            if seen.counts.done >= 100 and not stop.is_asked:
                stop.ask()
                stop.ask() if urgent else go.touch()

        return await project.runs.execute(spec, stop=stop, on_progress=watch)

    run = asyncio.run(work())
    go.touch()
    return run


def journal(project: Project, run: Run) -> Path:
    return project.workspace.state / "runs" / run.id / "rows.jsonl"


def test_the_aggregation_of_a_resumed_run_keeps_lists_together_and_in_input_order(project: Project) -> None:
    """Prompt flow's defect 1: after a resume, inputs and outputs of aggregation nodes belonged to different rows."""
    spec = project.spec(rows=50, name="base")
    project.broken(0, 17, 31)
    run = project.run(spec)
    assert run.metrics["rows"] == 47
    project.broken()
    resumed = project.resume("base")
    whole = project.run(msgspec.structs.replace(spec, name="whole"))
    assert resumed.status == "completed"
    assert resumed.metrics == whole.metrics
    assert resumed.notes == whole.notes
    assert (resumed.metrics["mismatched"], resumed.metrics["in_order"]) == (0, 1)
    assert [(row.number, row.outputs) for row in project.rows(resumed)] == [
        (row.number, row.outputs) for row in project.rows(whole)
    ]
    assert [row.number for row in project.rows(resumed) if row.attempt == 2] == [0, 17, 31]
    assert [attempt.rows for attempt in resumed.attempts] == [50, 3]


def test_a_stopped_run_lets_rows_in_flight_finish_and_goes_on_later(project: Project) -> None:
    run = stopped(project)
    assert run.status == "interrupted"
    assert 100 <= run.counts.done < 400
    assert run.counts.failed == 0
    assert run.metrics == {}
    resumed = project.resume("base")
    assert resumed.status == "completed"
    assert resumed.counts == Counts(total=400, completed=400)
    assert resumed.metrics["rows"] == 400
    assert resumed.metrics["mismatched"] == 0
    assert sum(attempt.rows for attempt in resumed.attempts) == 400
    assert len(journal(project, run).read_bytes().splitlines()) == 400


def test_a_run_stopped_at_once_leaves_rows_in_flight_unrecorded(project: Project) -> None:
    run = stopped(project, urgent=True)
    assert run.status == "interrupted"
    assert [row.number for row in project.rows(run)] == list(range(100))
    assert project.resume("base").counts == Counts(total=400, completed=400)


def test_a_cancelled_task_is_an_interruption(project: Project) -> None:
    spec = project.spec(rows=200, name="base")
    project.flow("pair", {"double.py": WAITING})

    async def work() -> None:
        recorded = asyncio.Event()
        task = asyncio.create_task(
            project.runs.execute(spec, on_progress=lambda seen: recorded.set() if seen.counts.done >= 100 else None)
        )
        await recorded.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    (project.root / "go.txt").touch()
    assert project.runs.get("base").status == "interrupted"
    assert project.resume("base").counts == Counts(total=200, completed=200)


def test_a_run_stopped_while_it_aggregates_aggregates_again_later(project: Project) -> None:
    spec = project.spec(rows=20, name="base")
    slow = (
        PAIR_FLOW["check.py"]
        .replace("def check(", "async def check(")
        .replace(
            'log_metric("rows"', 'await __import__("asyncio").sleep(0 if GO.exists() else 3600); log_metric("rows"'
        )
    )
    head = 'from pathlib import Path\n        GO = Path(__file__).parents[2] / "go.txt"\n        from pilothouse import'
    project.flow("pair", {"check.py": slow.replace("from pilothouse import", head, 1)})

    async def work() -> Run:
        stop = Stop()

        def watch(seen: Progress) -> None:
            if seen.phase == "aggregation" and not stop.is_urgent:
                stop.ask()
                stop.ask()

        return await project.runs.execute(spec, stop=stop, on_progress=watch)

    run = asyncio.run(asyncio.wait_for(work(), 60))
    assert (run.status, run.counts.completed, run.metrics) == ("interrupted", 20, {})
    (project.root / "go.txt").touch()
    resumed = project.resume("base")
    assert resumed.status == "completed"
    assert resumed.metrics["rows"] == 20
    assert resumed.attempts[-1].rows == 0


def test_a_run_whose_process_died_is_told_as_interrupted(project: Project) -> None:
    run = stopped(project)
    done = run.counts.done
    project.runs._store.update(msgspec.structs.replace(run, status="running", counts=Counts(total=400)))
    told = project.runs.get("base")
    assert told.status == "interrupted"
    assert told.counts.completed == done
    assert project.runs.list(status="interrupted") == [told]
    with AppendLog(journal(project, run)):
        assert project.runs.get("base").status == "running"


def test_failed_rows_alone_can_be_run_again(project: Project) -> None:
    run = stopped(project, urgent=True)
    path = journal(project, run)
    lines = path.read_bytes().splitlines()
    failed = msgspec.json.encode({**msgspec.json.decode(lines[5]), "status": "failed"})
    path.write_bytes(b"\n".join([*lines[:5], failed, *lines[6:]]) + b"\n")
    resumed = project.resume("base", failed_only=True)
    assert resumed.status == "interrupted"
    assert resumed.counts == Counts(total=400, completed=100)
    assert resumed.attempts[-1].rows == 1


def test_a_complete_run_has_nothing_to_resume(project: Project) -> None:
    run = project.run(project.spec(rows=3, name="base"))
    assert project.resume("base") == run


def test_an_unknown_run_cannot_be_resumed(project: Project) -> None:
    with pytest.raises(NotFound):
        project.resume("none")


def test_a_run_that_another_process_works_on_is_refused(project: Project) -> None:
    run = stopped(project)
    with (
        AppendLog(journal(project, run)),
        pytest.raises(Conflict, match="another process is working on the run 'base'"),
    ):
        project.resume("base")
    with AppendLog(journal(project, run)), pytest.raises(Conflict):
        project.runs.delete("base")


def test_two_that_resume_at_once_do_not_both_run(project: Project) -> None:
    stopped(project)

    async def both() -> list[Run | BaseException]:
        return await asyncio.gather(*(project.runs.resume("base") for _ in range(2)), return_exceptions=True)

    outcomes = asyncio.run(both())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Run"]
    assert project.runs.get("base").counts == Counts(total=400, completed=400)


def test_a_changed_flow_is_refused_until_forced(project: Project) -> None:
    project.broken(1)
    project.run(project.spec(rows=3, name="base"))
    project.broken()
    changed = PAIR_FLOW["double.py"].replace("return 2 * x", "return 2 * x  # better")
    project.flow("pair", {"double.py": changed})
    with pytest.raises(Conflict, match="the flow flows/pair changed") as refused:
        project.resume("base")
    assert "--force" in str(refused.value)
    resumed = project.resume("base", force=True)
    assert resumed.status == "completed"
    assert any("the flow flows/pair changed" in note for note in resumed.attempts[-1].notes)
    assert resumed.flow.version == "flow/pair:2"


def test_changed_data_is_refused_until_forced_and_rows_are_kept_by_id(project: Project) -> None:
    project.broken(12)
    rows = [{"id": f"r{number}", "x": number} for number in range(10, 16)]
    project.run(project.spec(data=project.data(rows), id_column="id", name="base"))
    project.broken()
    project.data([{"id": "new", "x": 99}, *reversed(rows[1:])])
    with pytest.raises(Conflict, match=r"the data data.jsonl changed .*6 -> 6 rows"):
        project.resume("base")
    resumed = project.resume("base", force=True)
    assert resumed.counts == Counts(total=6, completed=6)
    found = {row.line_id: row for row in project.rows(resumed)}
    assert list(found) == ["new", "r15", "r14", "r13", "r12", "r11"]
    assert {line_id for line_id, row in found.items() if row.attempt == 2} == {"new", "r12"}
    assert resumed.metrics["mismatched"] == 0
    assert "1 recorded rows were left out: their ids are not in the data any more" in resumed.attempts[-1].notes


def test_data_that_grew_is_run_for_the_new_rows_only(project: Project) -> None:
    project.run(project.spec(rows=5, name="base"))
    project.data([{"x": number} for number in range(8)])
    resumed = project.resume("base", force=True)
    assert resumed.counts == Counts(total=8, completed=8)
    assert resumed.attempts[-1].rows == 3


def test_a_full_disk_keeps_what_was_recorded_and_the_run_goes_on_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = project.spec(rows=5000, name="base")
    real, written = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal written
        is_journal = Path(f"/proc/self/fd/{descriptor}").readlink().name == "rows.jsonl"
        if is_journal and written > 300_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, data)
        written += count if is_journal else 0
        return count

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageError, match="disk is full"):
        project.run(spec)
    monkeypatch.undo()
    run = project.runs.get("base")
    assert run.status == "interrupted"
    assert run.error is not None
    assert run.error.type == "StorageError"
    assert 0 < run.counts.completed < 5000
    assert len(project.rows(run)) == run.counts.completed
    resumed = project.resume("base")
    assert resumed.status == "completed"
    assert resumed.error is None
    assert resumed.counts == Counts(total=5000, completed=5000)
    assert resumed.metrics["mismatched"] == 0
