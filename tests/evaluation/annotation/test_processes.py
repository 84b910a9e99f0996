"""Several processes at one queue, and one that is killed: nothing is labelled twice, nothing acknowledged is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pilothouse.core.clock import SystemClock
from pilothouse.core.errors import Conflict
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Queue

from .queues import items, service_over, spec

ROOT = Path(__file__).parents[3]


@pytest.fixture
def service(database_url: str) -> ReviewService:
    database = Database(database_url)
    database.upgrade()
    yield service_over(database, SystemClock())  # type: ignore[misc]
    database.close()


def start(url: str, reviewer: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.evaluation.annotation.queues", url, "q", reviewer]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_queue_and_one_person_at_two_windows_labels_nothing_twice(
    service: ReviewService, database_url: str
) -> None:
    queue = service.create(spec(), items(60))
    process = start(database_url, "ann")
    assert process.stdout is not None
    theirs = [int(process.stdout.readline())]
    # From here on both work at once: the child as ann, this process as ben and as ann at a second window.
    mine = [
        place for _ in range(10) for name in ("ben", "ann") if (place := label_one(service, queue, name)) is not None
    ]
    # `communicate` with a time limit would pass over lines that came together with the first.
    with process:
        theirs += map(int, process.stdout)
    assert process.returncode == 0
    while (place := label_one(service, queue, "ben")) is not None:
        mine.append(place)
    assert sorted(mine + theirs) == list(range(60))
    assert sorted((item.place, item.revision) for item in service.history(queue)) == [(n, 1) for n in range(60)]


def label_one(service: ReviewService, queue: Queue, reviewer: str) -> int | None:
    """Label the next item, and return its place; None when there is none, or the other window was faster."""
    task = service.take(queue, reviewer)
    if task is None:
        return None
    try:
        service.label(queue, reviewer, task.place, "no")
    except Conflict:
        return None
    return task.place


def test_what_was_acknowledged_survives_a_kill(service: ReviewService, database_url: str) -> None:
    queue = service.create(spec(), items(3000))
    process = start(database_url, "ann")
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(7)]
    process.kill()
    told += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    kept = [item.place for item in service.history(queue)]
    assert told == list(range(len(told)))
    assert len(kept) < 3000
    # One more may have been kept than was said: it died between the two.
    assert set(told) <= set(kept) <= {*told, len(told)}
    after = service.take(queue, "ann")
    assert after is not None
    assert after.place == len(kept)
