"""A conversation with a flow in the terminal, and answers that are printed as they come."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from pilothouse.core.terminal import console
from pilothouse.flows.chat.conversation import Conversation
from pilothouse.flows.commands.printing import as_text, print_error
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.listening import Piece

EXIT = "/exit"


def converse(runner: FlowRunner, conversation: Conversation, loop: asyncio.Runner) -> bool:
    """Ask for messages and print answers until Ctrl-D, Ctrl-C or ``/exit``; return whether every answer came.

    Args:
        runner: Runs the flow; open.
        conversation: What has been said so far.
        loop: Where the flow runs. Ctrl-C while it answers stops that answer alone.
    """
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            # Gives `input` its line editing.
            importlib.import_module("readline")
    is_well = True
    while True:
        try:
            message = input("You: ").strip()
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            return is_well
        if message == EXIT:
            return is_well
        if message:
            try:
                is_well = loop.run(_answer(runner, conversation, message)) and is_well
            except KeyboardInterrupt:
                console(stderr=True).print(Text("stopped; the answer is not kept", style="dim"))


async def _answer(runner: FlowRunner, conversation: Conversation, message: str) -> bool:
    line = await print_as_it_comes(runner, conversation.inputs(message), conversation.ports.answer, "Bot")
    if line.error is not None:
        print_error(line.error)
        return False
    conversation.add(message, line.outputs)
    return True


async def print_as_it_comes(runner: FlowRunner, inputs: Mapping[str, Any], output: str, label: str) -> LineResult:
    """Run a line and print one of its outputs as its pieces come, behind a label."""
    out = console()
    begun = ""
    async with runner.stream_line(inputs) as stream:
        async for event in stream:
            if isinstance(event, Piece) and event.output == output:
                if not begun:
                    out.print(Text(f"{label}: ", style="bold"), end="")
                begun += event.text
                sys.stdout.write(event.text)
                sys.stdout.flush()
        line = stream.result
    if begun:
        sys.stdout.write("" if begun.endswith("\n") else "\n")
    elif output in line.outputs or line.outputs:
        text = as_text(line.outputs.get(output, line.outputs))
        out.print(Text(f"{label}: ", style="bold") + Text(text), soft_wrap=True)
    sys.stdout.flush()
    return line
