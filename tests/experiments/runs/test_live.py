"""Runs of other processes: followed, cancelled, and told when their process is gone."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from pilothouse.cli.main import main
from pilothouse.core.errors import Conflict
from pilothouse.experiments.runs.commands import stream
from pilothouse.experiments.runs.live.cancellation import LOOK
from pilothouse.experiments.runs.types import Run

from .conftest import PAIR_FLOW, Project
from .test_kill import Command

GATED = """
    import time
    from pathlib import Path
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        while x >= 20 and not (Path(__file__).parents[2] / "go.txt").exists():
            time.sleep(0.01)
        if x == 3:
            raise ValueError("no answer for 3")
        return 2 * x
"""
"""Answers twenty numbers, of which one fails, and the others when `go.txt` is there."""

CREATE = ("run", "create", "--flow", "flows/pair", "--data", "data.jsonl", "--name", "base", "--concurrency", "4")


@pytest.fixture
def working(project: Project) -> Command:
    """A process that has answered twenty of forty rows and waits."""
    project.flow("pair", PAIR_FLOW)
    project.flow("pair", {"double.py": GATED})
    project.data([{"x": number} for number in range(40)])
    (project.root / "pilothouse.yaml").write_text("runs: {grace: 60}\n")
    project.reopen()
    started = Command(project, *CREATE)
    started.wait_for_rows(20)
    return started


def record(project: Project) -> Run:
    return project.runs.get("base")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def mark(project: Project) -> Path:
    return project.workspace.state / "runs" / record(project).id / "cancel"


def test_a_cancelled_run_keeps_its_rows_and_can_be_resumed(project: Project, working: Command) -> None:
    cancelling = Command(project, "run", "cancel", "base")
    while not mark(project).exists():
        assert cancelling.process.poll() is None
        time.sleep(0.01)
    time.sleep(2 * LOOK)  # the working process has seen it
    (project.root / "go.txt").touch()  # rows in flight may finish
    code, out, err = cancelling.end()
    assert code == 0, out + err
    assert "cancelled" in out
    ended, out, err = working.end()
    assert ended == 130
    assert "was cancelled" in err
    run = record(project)
    assert run.status == "cancelled"
    assert 20 <= run.counts.done < 40
    assert not mark(project).exists()
    resumed = project.resume("base")
    assert (resumed.status, resumed.counts.done) == ("completed_with_errors", 40)


def test_cancelling_at_once_leaves_rows_in_flight_and_no_process(project: Project, working: Command) -> None:
    code, out, err = Command(project, "run", "cancel", "base", "--now", "--json").end()
    assert code == 0, out + err
    assert json.loads(out)["status"] == "cancelled"
    assert working.end()[0] == 130
    assert not is_alive(working.process.pid)
    assert record(project).counts.done == 20


def test_a_tidy_wish_is_sharpened_by_a_second_one(project: Project, working: Command) -> None:
    code, out, _ = Command(project, "run", "cancel", "base", "--no-wait").end()
    assert (code, "was asked to stop" in out) == (0, True)
    assert project.runs.cancel("base").status == "running"
    assert project.runs.cancel("base", at_once=True).status == "running"
    assert working.end()[0] == 130
    assert record(project).status == "cancelled"


def test_a_run_whose_process_was_killed_is_recorded_as_interrupted(project: Project, working: Command) -> None:
    working.signal(signal.SIGKILL)
    code, out, err = Command(project, "run", "cancel", "base").end()
    assert code == 0, err
    assert "its process is gone" in out
    stored = project.runs._store.get("base")
    assert (stored.status, stored.counts.done) == ("interrupted", 20)
    assert Command(project, "run", "stream", "base").end()[0] == 130


def test_rows_that_are_elsewhere_cannot_be_stopped_from_here(project: Project, working: Command) -> None:
    folder = project.workspace.state / "runs" / record(project).id
    folder.rename(folder.with_name("moved"))
    with pytest.raises(Conflict, match="are not here"):
        project.runs.cancel("base")
    folder.with_name("moved").rename(folder)
    project.runs.cancel("base", at_once=True)
    working.end()


def test_an_old_wish_does_not_stop_a_new_attempt(project: Project, working: Command) -> None:
    working.signal(signal.SIGKILL)
    mark(project).write_bytes(b"at once\n")
    (project.root / "go.txt").touch()
    assert project.resume("base").counts.done == 40


def test_a_run_is_followed_to_its_end_and_exit_code(project: Project, working: Command) -> None:
    following = Command(project, "run", "stream", "base")
    shown = project.runs.follow(record(project))
    seen = shown.glance()
    assert (seen.counts.done, seen.counts.failed, seen.counts.total, seen.phase) == (20, 1, 40, "rows")
    (project.root / "go.txt").touch()
    code, out, err = following.end()
    assert working.end()[0] == 1
    assert (code, "40 of 40: 39 completed, 1 failed" in " ".join(out.split())) == (1, True), out + err
    assert (shown.glance().counts.done, shown.glance().phase) == (40, "aggregation")


def test_words_that_were_given_meanwhile_outlive_the_end_of_the_run(project: Project, working: Command) -> None:
    project.runs.update("base", display_name="Seen", tags={"k": "v"})
    project.runs.archive("base")
    (project.root / "go.txt").touch()
    working.end()
    run = record(project)
    assert (run.status, run.spec.display_name, run.spec.tags, run.archived) == (
        "completed_with_errors",
        "Seen",
        {"k": "v"},
        True,
    )


def test_following_ends_at_ctrl_c_and_the_run_goes_on(
    project: Project, working: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ctrl_c(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(project.root)
    monkeypatch.setattr(stream.time, "sleep", ctrl_c)
    with pytest.raises(SystemExit) as left:
        main(["run", "stream", "base"])
    monkeypatch.undo()
    assert left.value.code == 130
    assert "which goes on" in capsys.readouterr().err
    assert working.process.poll() is None
    project.runs.cancel("base", at_once=True)
    working.end()
