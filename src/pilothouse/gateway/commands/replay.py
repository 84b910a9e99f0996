"""`gateway replay`: a logged call, made again under another configuration or through another route."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.gateway.commands.options import dollars, json_option, seconds
from pilothouse.gateway.replay.service import ReplayService
from pilothouse.gateway.replay.types import Outcome, Replay, ReplayRequest
from pilothouse.models.service import ModelService

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("call_id")
@click.option("--config", type=click.IntRange(min=1), metavar="VERSION", help="It decides; the one in force.")
@click.option("--route", default="", help="What is asked for; the same as before.")
@click.option("--redacted-ok", is_flag=True, help="Send a request that was redacted when it was recorded.")
@json_option
@click.pass_obj
def replay(services: Services, as_json: bool, **given: Any) -> None:
    """Make the logged call CALL_ID again, and show both: routing, status, usage, cost, latency and the answers.

    Its request must have been recorded (gateway.capture). The new call costs money, which no budget is charged with;
    its ledger row has the use case `replay`. Leaves with 1 when the new call failed.
    """
    found = asyncio.run(_replay(services, ReplayRequest(**given)))
    if as_json:
        emit_json(found)
    else:
        for line in _lines(found):
            console().print(line, soft_wrap=True)
    if found.after.status != "ok":
        raise click.exceptions.Exit(1)


async def _replay(services: Services, wanted: ReplayRequest) -> Replay:
    try:
        return await services.get(ReplayService).replay(wanted)
    finally:
        await services.get(ModelService).aclose()


def _lines(found: Replay) -> list[Text]:
    before, after = _column(found.before), _column(found.after)
    width = max(map(len, before.values()))
    lines = [Text(f"{name:<9} {old:<{width}}  {after[name]}".rstrip()) for name, old in before.items()]
    lines += [Text(f"note: {note}") for note in found.notes]
    if found.same is not None:
        lines.append(Text("the answers are the same" if found.same else "the answers differ:"))
    return lines + [Text(line, style=_STYLES.get(line[:1], "")) for line in found.diff]


def _column(of: Outcome) -> dict[str, str]:
    usage = of.usage
    return {
        "call": of.call,
        "config": f"version {of.config}",
        "route": of.route + (f", arm {of.arm} of {of.experiment}" if of.arm else ""),
        "asked": ", ".join(f"{item.deployment}: {item.failure or item.status}" for item in of.attempts) or of.cache,
        "model": of.response_model or of.model,
        "status": f"{of.http_status} {of.status}" + (f", {of.code}" if of.code else ""),
        "tokens": f"{usage.input_tokens:,} in, {usage.output_tokens:,} out" if usage is not None else "?",
        "cost": dollars(of.cost),
        "took": seconds(of.duration_ns) + (f", first byte {seconds(of.first_ns)}" if of.first_ns else ""),
    }
