"""`review export` and `review close`: what becomes of a queue."""

from __future__ import annotations

from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.service import QueueMaker


@click.command()
@click.argument("queue")
@click.option("--name", "dataset", default="", help="The dataset; the queue's name with -labels by default.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a .csv or .jsonl file, too.")
@click.option("--names", "named", is_flag=True, help="Keep the reviewers' names; a number stands for each otherwise.")
@options.as_json
@click.pass_obj
def export(services: Services, queue: str, dataset: str, output: Path | None, named: bool, as_json: bool) -> None:
    """Make a dataset version of the labels of the QUEUE; equal labels make no new one.

    `judge calibrate --labels` reads the file as it is.
    """
    file = None if output is None else Path.cwd() / output
    found = services.get(QueueMaker).export(queue, dataset=dataset, file=file, named=named)
    if as_json:
        emit_json(found)
        return
    out = console()
    what = "new" if found.is_new else "the labels are as they were"
    out.print(f"{found.dataset} ({what}): {found.rows:,} rows, {found.labelled:,} with a label", markup=False)
    if found.left_out:
        out.print(f"{found.left_out:,} items have no label yet and are left out", markup=False, style="yellow")
    if output is not None:
        out.print(str(output), markup=False, soft_wrap=True)


@click.command()
@click.argument("queue")
@click.option("--reopen", is_flag=True, help="Take labels again.")
@click.pass_obj
def close(services: Services, queue: str, reopen: bool) -> None:
    """Close the QUEUE: it takes no more labels, and keeps those it has."""
    found = services.get(ReviewService).set_status(queue, "open" if reopen else "closed")
    console().print(f"{found.name} is {found.status}", markup=False)
