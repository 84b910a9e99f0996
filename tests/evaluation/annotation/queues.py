"""Small queues, and a reviewer in a process of their own: ``python queues.py URL QUEUE REVIEWER``."""

from __future__ import annotations

import sys
from typing import Any

from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock, SystemClock
from pilothouse.core.errors import Conflict
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.store import ReviewStore
from pilothouse.evaluation.annotation.types import Choosing, Item, QueueSpec, Source
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore

YES_NO = Question(question="Is it polite?")
LEVELS = Question(question="How good?", kind="ordinal", levels={1: "bad", 2: "so so", 3: "good"})
PAIRS = Question(question="Which is better?", kind="pairwise")
KINDS = Question(question="Which kind?", kind="categories", categories={"spam": "", "ham": "", "other": "all else"})
TEXT = Question(question="What is missing?", kind="text")


def service_over(database: Database, clock: Clock) -> ReviewService:
    actor = Actor(name="maker")
    return ReviewService(ReviewStore(database), RegistryService(RegistryStore(database), clock, actor), clock, actor)


def items(n: int, *, pairs: bool = False) -> list[Item]:
    other: dict[str, Any] | None = {"answer": "the old one"} if pairs else None
    return [
        Item(id=str(number), inputs={"text": f"row {number}"}, outputs={"answer": "the new one"}, other=other)
        for number in range(n)
    ]


def spec(name: str = "q", question: Question = YES_NO, **given: Any) -> QueueSpec:
    return QueueSpec(
        name=name, question=question, source=Source(ref="run/r:1"), choosing=Choosing(rows=9, kept=9), **given
    )


def main(url: str, name: str, reviewer: str) -> None:
    """Label until nothing is left; say each place once its label is acknowledged."""
    service = service_over(Database(url), SystemClock())
    queue = service.get(name)
    while (task := service.take(queue, reviewer)) is not None:
        try:
            service.label(queue, reviewer, task.place, "yes")
        except Conflict:  # the same person was faster at another window
            continue
        print(task.place, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
