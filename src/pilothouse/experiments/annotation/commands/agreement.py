"""`review agreement`: how far reviewers agree, and what they found."""

from __future__ import annotations

import click
from rich.console import Console

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.evaluation.annotation.agreement import Agreement
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Queue
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.commands.printing import matrix
from pilothouse.experiments.annotation.wording import labels_in_words, lines, preference_lines
from pilothouse.experiments.reports.visible import reveal


@click.command()
@click.argument("queue")
@options.as_json
@click.pass_obj
def agreement(services: Services, queue: str, as_json: bool) -> None:
    """Show how far the reviewers of the QUEUE agree, and of pairs which side won."""
    service = services.get(ReviewService)
    found = service.get(queue)
    told = service.agreement(found)
    if as_json:
        emit_json(told)
        return
    _print(console(), found, told)


def _print(out: Console, queue: Queue, told: Agreement) -> None:
    if told.preference is not None:
        spec = queue.spec.source
        rows = preference_lines(told.preference, spec.candidate, spec.baseline)
        out.print(table(None, ["", ""], rows))
    out.print(table(None, ["", ""], [*lines(told), ("labels", labels_in_words(told))]))
    for pair in (*told.pairs, *((told.judge,) if told.judge is not None else ())):
        out.print(matrix(pair.first, pair.second, pair.words, pair.matrix))
    for note in told.notes:
        out.print(f"• {reveal(note)}", markup=False, style="yellow", soft_wrap=True)
