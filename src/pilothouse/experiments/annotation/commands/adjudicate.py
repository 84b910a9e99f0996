"""`review adjudicate`: settle what reviewers disagree on."""

from __future__ import annotations

import click

from pilothouse.access.types import Actor
from pilothouse.core.errors import DataError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Dispute, Queue
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.commands.keyboard import Keyboard, refused
from pilothouse.experiments.annotation.commands.printing import show_task
from pilothouse.experiments.annotation.people import person
from pilothouse.experiments.annotation.wording import word_seen
from pilothouse.experiments.reports.visible import reveal


@click.command()
@click.argument("queue")
@options.reviewer
@click.pass_obj
def adjudicate(services: Services, queue: str, name: str | None) -> None:
    """Settle the items of the QUEUE on which reviewers disagree.

    Their labels are shown without names. Items that have no label come first, then those on which most agree; what is
    left out stays as it is. Items that you labelled yourself come last, and are said to be so.
    """
    service = services.get(ReviewService)
    found = service.get(queue)
    who = person(name, services.get(Actor))
    out = console()
    disputes = service.disputes(found, who)
    if not disputes:
        out.print("there is nothing to settle", markup=False)
        return
    settled = 0
    for number, dispute in enumerate(disputes, 1):
        if not _settled(service, found, who, dispute, f"{number:,} of {len(disputes):,}"):
            break
        settled += 1
    out.print(f"{settled:,} of {len(disputes):,} settled", markup=False)


def _settled(service: ReviewService, queue: Queue, who: str, dispute: Dispute, heading: str) -> bool:
    """Ask about one item until it is settled; return whether it is."""
    out = console()
    keyboard = Keyboard(queue.question, out, skips=False)
    show_task(out, queue, dispute.task, heading)
    for line in _told(queue, dispute):
        out.print(line, markup=False, style="yellow", soft_wrap=True)
    comment = ""
    while (typed := keyboard.ask()).act != "quit":
        if typed.act == "more":
            show_task(out, queue, dispute.task, heading, whole=True)
        elif typed.act == "comment":
            comment = typed.text
        elif typed.act == "answer" and typed.text.strip():
            try:
                service.settle(queue, who, dispute, typed.text, comment)
            except DataError as error:
                refused(out, error)
            else:
                return True
    return False


def _told(queue: Queue, dispute: Dispute) -> list[str]:
    lines: list[str] = []
    for value, comment in dispute.votes:
        said = word_seen(queue.question, value, dispute.task.first)
        lines.append(f"• a reviewer says {said}" + (f": {reveal(comment)}" if comment else ""))
    if dispute.labelled_it:
        lines.append("• one of them is you: somebody else should settle this")
    return lines
