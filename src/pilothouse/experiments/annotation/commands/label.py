"""`review label`: one item after the other, in the terminal."""

from __future__ import annotations

import click
from rich.console import Console

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, DataError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Progress, Queue, Task
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.commands.keyboard import Keyboard, refused
from pilothouse.experiments.annotation.commands.printing import show_task
from pilothouse.experiments.annotation.people import person
from pilothouse.experiments.annotation.wording import opinion, word_seen


@click.command()
@click.argument("queue")
@options.reviewer
@click.pass_obj
def label(services: Services, queue: str, name: str | None) -> None:
    """Label the items of the QUEUE, one after the other.

    In a terminal a key answers; otherwise every line of the input is an answer, or `s REASON` to skip, `c WORDS` for a
    comment on the item, `u` to take the last answer back, `q` to stop. What was answered is kept at once.
    """
    service = services.get(ReviewService)
    found = service.get(queue)
    reviewer = person(name, services.get(Actor))
    loop = _Loop(service, found, reviewer, console())
    try:
        loop.run()
    except KeyboardInterrupt:
        loop.out.print()
    loop.tell()


class _Loop:
    """One reviewer at one queue."""

    def __init__(self, service: ReviewService, queue: Queue, reviewer: str, out: Console) -> None:
        self._service = service
        self._queue = queue
        self._reviewer = reviewer
        self._keyboard = Keyboard(queue.question, out)
        self.out = out

    def run(self) -> None:
        """Ask until there is nothing left, or the reviewer has had enough."""
        while (task := self._service.take(self._queue, self._reviewer)) is not None:
            if not self._item(task):
                return

    def tell(self) -> None:
        """Say how far it is."""
        progress = self._service.progress(self._queue, self._reviewer)
        self.out.print(_left(progress, self._reviewer, self._queue), markup=False, soft_wrap=True)

    def _item(self, task: Task) -> bool:
        """Ask about one item; return whether to go on."""
        progress = self._service.progress(self._queue, self._reviewer)
        heading = f"{progress.mine + 1:,} ({progress.left:,} left for you)"
        show_task(self.out, self._queue, task, heading)
        comment = ""
        while True:
            typed = self._keyboard.ask()
            try:
                if typed.act == "quit":
                    return False
                if typed.act == "comment":
                    comment = typed.text
                    self.out.print("the comment goes with your answer", style="dim")
                elif typed.act == "more":
                    show_task(self.out, self._queue, task, heading, whole=True)
                elif typed.act == "undo":
                    if self._undone():
                        return True
                elif typed.act == "skip":
                    self._service.skip(self._queue, self._reviewer, task.place, typed.text)
                    self.out.print("skipped", style="yellow")
                    return True
                elif typed.act == "answer" and typed.text.strip():
                    self._answered(task, typed.text, comment)
                    return True
            except DataError as error:
                refused(self.out, error)

    def _undone(self) -> bool:
        if self._service.undo(self._queue, self._reviewer) is None:
            self.out.print("there is nothing to take back", style="yellow")
            return False
        self.out.print("taken back", style="yellow")
        return True

    def _answered(self, task: Task, answer: str, comment: str) -> None:
        try:
            kept = self._service.label(self._queue, self._reviewer, task.place, answer, comment=comment)
        except Conflict as error:
            # The same person at another window was faster.
            if self._service.task(self._queue, self._reviewer, task.place).current is None:
                raise
            self.out.print(error.message, style="yellow", markup=False)
            return
        if kept.value is not None:
            said = word_seen(self._queue.question, kept.value, kept.first)
            self.out.print(f"kept: {said}", style="green", markup=False, soft_wrap=True)
        told = opinion(self._queue.question, task.item, kept.first) if self._queue.spec.reveals else None
        if told:
            self.out.print(told, style="dim", markup=False, soft_wrap=True)


def _left(progress: Progress, reviewer: str, queue: Queue) -> str:
    mine = f"{progress.mine:,} labels by {reviewer}"
    if progress.left:
        return f"{mine}; {progress.left:,} items are left for you: pilothouse review label {queue.name}"
    if progress.labels < progress.wanted:
        return f"{mine}; nothing is left for you, {progress.wanted - progress.labels:,} labels of others are wanted"
    return f"{mine}; the queue is complete: pilothouse review agreement {queue.name}"
