"""`review list` and `review show`."""

from __future__ import annotations

import click
from msgspec import to_builtins

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.commands.printing import facts
from pilothouse.experiments.reports.visible import reveal


@click.command("list")
@options.as_json
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """List queues, the latest first."""
    service = services.get(ReviewService)
    found = [(queue, service.progress(queue)) for queue in service.list()]
    if as_json:
        emit_json(to_builtins([{"queue": queue, "progress": progress} for queue, progress in found], str_keys=True))
        return
    if not found:
        console().print("there is no queue yet: pilothouse review create NAME makes one", markup=False)
        return
    rows = [
        [q.name, q.status, q.question.kind, f"{p.labels:,}/{p.wanted:,}", len(p.reviewers), q.spec.source.label]
        for q, p in found
    ]
    console().print(table(None, ["queue", "status", "kind", ">labels", ">reviewers", "from"], rows))


@click.command()
@click.argument("queue")
@click.option("--history", is_flag=True, help="Everything that was ever said, also what was replaced.")
@options.as_json
@click.pass_obj
def show(services: Services, queue: str, history: bool, as_json: bool) -> None:
    """Show the QUEUE, and how far it is."""
    service = services.get(ReviewService)
    found = service.get(queue)
    progress = service.progress(found)
    past = service.history(found) if history else []
    if as_json:
        told = {"queue": found, "progress": progress, **({"history": past} if history else {})}
        emit_json(to_builtins(told, str_keys=True))
        return
    out = console()
    out.print(facts(found, progress))
    if history:
        rows = [
            [f"{item.created_at:%Y-%m-%d %H:%M:%S}", item.place + 1, item.reviewer, item.role, item.state,
             reveal(found.question.word(item.value)), reveal(item.comment)]
            for item in past
        ]  # fmt: skip
        out.print(table(None, ["when (UTC)", ">item", "who", "as", "state", "label", "comment"], rows))
