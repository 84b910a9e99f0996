"""Let people label rows, blind and in several; agreement, adjudication, labels as a dataset."""

from __future__ import annotations

import click

from pilothouse.experiments.annotation.commands.adjudicate import adjudicate
from pilothouse.experiments.annotation.commands.agreement import agreement
from pilothouse.experiments.annotation.commands.create import create
from pilothouse.experiments.annotation.commands.ending import close, export
from pilothouse.experiments.annotation.commands.label import label
from pilothouse.experiments.annotation.commands.looking import list_, show
from pilothouse.experiments.annotation.commands.serve import serve


@click.group()
def review() -> None:
    """Let people label rows, and see how far they agree."""


for verb in (create, list_, show, label, serve, agreement, adjudicate, export, close):
    review.add_command(verb)
