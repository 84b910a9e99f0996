"""Commands with worker processes that are killed and stopped from outside: no process is left, no row is lost."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from .conftest import Project
from .processes import MARK, marked, none_is_left
from .test_kill import Command, prepare

#: Rows from the 50th on wait for `go.txt`, in a process that their tool has started.
WAITING = """
    import subprocess
    from pathlib import Path
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        go = Path(__file__).parents[2] / "go.txt"
        if x >= 50:
            subprocess.run(["sh", "-c", f"until [ -e '{go}' ]; do sleep 0.05; done"])
        return 2 * x
"""


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    made = secrets.token_hex(8)
    monkeypatch.setenv(MARK, made)
    yield made
    assert none_is_left(made)


def begun(project: Project, mark: str) -> Command:
    """Return a command whose workers all wait."""
    command = Command(project, *prepare(project, WAITING, rows=60), "--isolation", "process", "--concurrency", "3")
    command.wait_for_rows(50)
    deadline = time.monotonic() + 60
    while len(list(marked(mark))) < 8:  # itself, the warden, and three workers with what their tool has started
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return command


def named(mark: str, word: str) -> list[int]:
    found: list[int] = []
    for folder in marked(mark):
        with suppress(OSError):  # it may have ended meanwhile
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def resumed(project: Project) -> None:
    (project.root / "go.txt").touch()
    code, _, err = Command(project, "run", "resume", "base").end()
    assert code == 0, err
    run = project.runs.get("base")
    assert (run.status, run.counts.completed, run.metrics["mismatched"]) == ("completed", 60, 0)


def test_a_parent_that_is_killed_leaves_no_process(project: Project, mark: str) -> None:
    command = begun(project, mark)
    assert command.signal(signal.SIGKILL)[0] == -signal.SIGKILL
    assert none_is_left(mark)
    assert project.runs.get("base").status == "interrupted"
    resumed(project)


def test_parent_and_warden_killed_at_once_leave_no_worker(project: Project, mark: str) -> None:
    command = begun(project, mark)
    wardens = named(mark, "isolation.warden")
    for process in (command.process.pid, min(wardens)):
        os.kill(process, signal.SIGKILL)
    command.process.wait(60)
    deadline = time.monotonic() + 20
    while named(mark, "isolation.warden"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (project.root / "go.txt").touch()  # what tools have started is nobody's to end now
    command.end()


def test_a_warden_that_is_killed_ends_the_run_with_one_error(project: Project, mark: str) -> None:
    command = begun(project, mark)
    os.kill(min(named(mark, "isolation.warden")), signal.SIGKILL)
    code, _, err = command.end()
    assert code == 3
    assert "the process that starts workers has ended" in err
    assert "Traceback" not in err
    assert project.runs.get("base").status == "interrupted"
    resumed(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_rows_in_flight_finish(project: Project, mark: str, number: signal.Signals) -> None:
    command = begun(project, mark)
    command.process.send_signal(number)
    assert "rows in flight may finish" in command.next_words()
    (project.root / "go.txt").touch()
    code, _, err = command.end()
    assert code == 130
    assert "pilothouse run resume base" in err
    assert list(marked(mark)) == []
    assert 50 < project.runs.get("base").counts.completed <= 53
    resumed(project)


def test_a_second_signal_kills_them(project: Project, mark: str) -> None:
    command = begun(project, mark)
    command.process.send_signal(signal.SIGINT)
    command.next_words()
    code, _, err = command.signal(signal.SIGINT)
    assert code == 130, err
    assert list(marked(mark)) == []
    assert project.runs.get("base").counts.completed == 50


CRASHING = """
    import os
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        print("printed", x, flush=True)
        if x == 5:
            os._exit(3)
        return 2 * x
"""


def test_what_programs_read_stays_whole_though_tools_print_and_crash(project: Project) -> None:
    create = prepare(project, CRASHING, rows=9)
    code, out, err = Command(project, *create, "--isolation", "process", "--max-failures", "1", "--json").end()
    assert code == 0
    assert json.loads(out)["counts"]["failed"] == 1
    assert "printed 8" in err
    code, out, _ = Command(project, "run", "show", "base", "--failed").end()
    assert "ended with exit code 3" in " ".join(out.split())
