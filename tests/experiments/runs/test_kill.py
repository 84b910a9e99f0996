"""Real processes that are killed, stopped and raced: what was recorded stays, and every row counts once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pilothouse.experiments.runs.types import Counts

from .conftest import PAIR_FLOW, Project

ROWS = 1000

SLOW = """
    import time
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        time.sleep(0.01)
        return 2 * x
"""

WAITING = """
    import time
    from pathlib import Path
    from pilothouse import tool

    @tool
    def double(x: int) -> int:
        while x >= 50 and not (Path(__file__).parents[2] / "go.txt").exists():
            time.sleep(0.01)
        return 2 * x
"""


class Command:
    """A `pilothouse` process working in the project."""

    def __init__(self, project: Project, *arguments: str, most_bytes: int | None = None) -> None:
        code = "from pilothouse.cli.main import main; main()"
        if most_bytes is not None:
            code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes},) * 2); {code}"
        self.project = project
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_rows(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.recorded() < count:
            assert self.process.poll() is None, f"it ended by itself: {self.process.communicate()}"
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def next_words(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def recorded(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in journals(self.project))

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def signal(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        return self.end()


def journals(project: Project) -> list[Path]:
    return list((project.root / ".pilothouse" / "runs").glob("*/rows.jsonl"))


def prepare(project: Project, double: str, rows: int = ROWS) -> list[str]:
    project.spec(rows=rows)
    project.flow("pair", {"double.py": double})
    return ["run", "create", "--flow", "flows/pair", "--data", "data.jsonl", "--name", "base"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_killed_at_any_moment_even_twice_ends_as_one_that_was_not(project: Project, seed: int) -> None:
    create = prepare(project, SLOW)
    points = sorted(random.Random(seed).sample(range(1, ROWS - 200), 2))
    killed = Command(project, *create)
    killed.wait_for_rows(points[0])
    assert killed.signal(signal.SIGKILL)[0] == -signal.SIGKILL
    first = project.runs.get("base")
    assert first.status == "interrupted"
    assert points[0] <= first.counts.done < ROWS
    again = Command(project, "run", "resume", "base")
    again.wait_for_rows(max(points[1], first.counts.done + 1))
    assert again.signal(signal.SIGKILL)[0] == -signal.SIGKILL
    assert first.counts.done <= project.runs.get("base").counts.done < ROWS

    code, out, err = Command(project, "run", "resume", "base", "--json").end()
    assert code == 0, err
    resumed = json.loads(out)
    whole = project.run(project.spec(rows=ROWS, name="whole"))
    assert resumed["status"] == "completed"
    assert resumed["metrics"] == whole.metrics
    assert whole.metrics["mismatched"] == 0
    run = project.runs.get("base")
    assert run.counts == whole.counts == Counts(total=ROWS, completed=ROWS)
    assert [(row.number, row.outputs) for row in project.rows(run)] == [
        (row.number, row.outputs) for row in project.rows(whole)
    ]
    lines = (project.root / ".pilothouse" / "runs" / run.id / "rows.jsonl").read_bytes().splitlines()
    assert Counter(json.loads(line)["number"] for line in lines) == Counter(range(ROWS))
    assert len(run.attempts) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_tidily_and_says_how_to_go_on(project: Project, number: signal.Signals) -> None:
    command = Command(project, *prepare(project, WAITING, rows=200))
    command.wait_for_rows(50)
    command.process.send_signal(number)
    assert "rows in flight may finish" in command.next_words()
    (project.root / "go.txt").touch()
    code, _, err = command.end()
    assert code == 130
    assert "pilothouse run resume base" in err
    assert "Traceback" not in err
    run = project.runs.get("base")
    assert run.status == "interrupted"
    assert 50 < run.counts.completed < 200
    assert Command(project, "run", "resume", "base").end()[0] == 0
    assert project.runs.get("base").counts == Counts(total=200, completed=200)


def test_a_second_ctrl_c_ends_at_once_though_rows_hang(project: Project) -> None:
    command = Command(project, *prepare(project, WAITING, rows=200))
    command.wait_for_rows(50)
    command.process.send_signal(signal.SIGINT)
    command.next_words()
    code, _, err = command.signal(signal.SIGINT)
    assert code == 130
    assert "pilothouse run resume base" in err
    assert project.runs.get("base").counts.completed == 50


def test_a_file_that_may_not_grow_is_told_and_the_run_goes_on_later(project: Project) -> None:
    command = Command(project, *prepare(project, PAIR_FLOW["double.py"], rows=3000), most_bytes=700_000)
    code, _, err = command.end()
    assert code == 3
    assert "the file may not grow any further" in err
    assert "Traceback" not in err
    run = project.runs.get("base")
    assert run.status == "interrupted"
    assert 0 < run.counts.completed < 3000
    code, _, err = Command(project, "run", "resume", "base").end()
    assert code == 0, err
    run = project.runs.get("base")
    assert run.counts == Counts(total=3000, completed=3000)
    assert run.metrics["mismatched"] == 0


def test_two_processes_cannot_resume_one_run_at_once(project: Project) -> None:
    first = Command(project, *prepare(project, WAITING, rows=200))
    first.wait_for_rows(50)
    code, _, err = Command(project, "run", "resume", "base").end()
    assert code == 2
    assert "another process is working on the run 'base'" in err
    assert project.runs.get("base").status == "running"
    assert project.runs.get("base").counts.completed == 50
    (project.root / "go.txt").touch()
    assert first.end()[0] == 0
