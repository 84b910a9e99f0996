"""`flow test`: one flow, or one node of it, on one input."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import click

from pilothouse.core.errors import DataError, UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import emit_json
from pilothouse.flows.chat.conversation import Conversation, chat_ports, is_chat
from pilothouse.flows.commands.chatting import converse, print_as_it_comes
from pilothouse.flows.commands.inputs import check_rows, pair, read_rows
from pilothouse.flows.commands.options import json_option, variant_option
from pilothouse.flows.commands.printing import (
    line_data,
    print_aggregation,
    print_at_once,
    print_line,
    print_notes,
    tell_node,
)
from pilothouse.flows.commands.serve import load_server
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.library import locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.opening import INIT
from pilothouse.flows.project import project_runner
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.service import ModelService

T = TypeVar("T")


@click.command(short_help="Run a flow, or one node of it, on one input.")
@click.argument("path")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--inputs", multiple=True, metavar="KEY=VALUE|FILE", help="An input, or a .json or .jsonl file of them.")
@click.option("--init", multiple=True, metavar="KEY=VALUE", help="An argument of the class of a flex flow.")
@click.option("--node", help="Run this node alone; inputs are then named node.output or inputs.name.")
@click.option("--interactive", is_flag=True, help="Talk with a chat flow; /exit, Ctrl-D or Ctrl-C ends it.")
@click.option("--ui", is_flag=True, help="Open a page in the browser to try the flow on.")
@variant_option
@json_option
@click.pass_obj
def test(
    services: Services,
    path: str,
    pairs: Sequence[str],
    inputs: Sequence[str],
    init: Sequence[str],
    node: str | None,
    variants: Sequence[str],
    as_json: bool,
    interactive: bool,
    ui: bool,
) -> None:
    """Run a flow, or one node of it, on one input and show what every node did."""
    if (ui or interactive) and (ui + interactive + as_json + (node is not None)) > 1:
        raise UserError("--ui and --interactive stand alone, without each other, --node and --json")
    print_at_once()
    tried = load_flow(locate(services.root, path))
    rows = read_rows([*inputs, *pairs])
    if node is None:
        check_rows(tried, rows)
    made_of = {INIT: dict(map(pair, init))} if init else None
    runner = project_runner(services, tried, variants=dict(map(parse_variant, variants)), connections=made_of)
    if ui:
        if any(rows):
            raise UserError("--ui takes no inputs: the page asks for them")
        limits = services.settings.section(FlowSettings).serving
        raise click.exceptions.Exit(load_server()(services, runner, limits, Site(port=0, is_opened=True)))
    # Tools that open files by relative names find them, as in prompt flow.
    with contextlib.closing(runner.open()), contextlib.chdir(runner.folder):
        if interactive:
            is_well = _converse(services, runner, Conversation(tried, rows[0]))
        elif node is not None:
            alone = _ended(services, runner.run_node(node, rows[0]), prints_aside=as_json)
            is_well = tell_node(alone, is_json=as_json)
        else:
            is_talk = len(rows) == 1 and not as_json and is_chat(tried)
            live = chat_ports(tried).answer if is_talk else None
            lines, made = _ended(services, _run(runner, rows, live), prints_aside=as_json)
            is_well = _tell(runner, lines, made, live, as_json=as_json)
    if not is_well:
        raise click.exceptions.Exit(1)


def _converse(services: Services, runner: FlowRunner, conversation: Conversation) -> bool:
    with asyncio.Runner() as loop:
        try:
            return converse(runner, conversation, loop)
        finally:
            loop.run(services.get(ModelService).aclose())


def _ended(services: Services, work: Coroutine[Any, Any, T], *, prints_aside: bool) -> T:
    """Run to the end; with ``prints_aside`` what tools print goes to standard error, so that JSON stays JSON."""

    async def go() -> T:
        try:
            return await work
        finally:
            await services.get(ModelService).aclose()

    with contextlib.redirect_stdout(sys.stderr) if prints_aside else contextlib.nullcontext():
        return asyncio.run(go())


async def _run(
    runner: FlowRunner, rows: list[dict[str, Any]], live: str | None
) -> tuple[list[LineResult], AggregationResult | None]:
    """Run all lines, and aggregate; the output ``live`` of a single line is printed as it comes."""
    if live is not None:
        lines = [await print_as_it_comes(runner, rows[0], live, live)]
    else:
        lines = [await runner.run_line(row, line_number=number) for number, row in enumerate(rows)]
    return lines, await runner.aggregate(lines) if runner.flow.has_aggregation else None


def _tell(
    runner: FlowRunner, lines: list[LineResult], made: AggregationResult | None, live: str | None, *, as_json: bool
) -> bool:
    """Print what came of the lines; return whether all is well."""
    for line in lines:
        if line.error is not None and line.error.type == DataError.__name__ and not line.nodes:
            raise DataError(line.error.message)
    if as_json:
        found = [line_data(line) for line in lines]
        emit_json({"flow": runner.flow.name, "lines": found, "aggregation": made})
    else:
        for line in lines:
            print_line(line, but=live)
        if made is not None:
            print_aggregation(made)
        print_notes([*runner.flow.notes, *dict.fromkeys(note for line in lines for note in line.notes)])
    return all(line.status == "completed" for line in lines) and (made is None or made.error is None)
