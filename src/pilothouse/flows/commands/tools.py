"""`flow tools`: the tools that nodes may name by id, with their inputs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast

import click
from msgspec import Struct
from rich.text import Text

from pilothouse.core.terminal import console, emit_json
from pilothouse.flows.commands.options import json_option
from pilothouse.flows.nodes.packages import offered
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS
from pilothouse.flows.nodes.tools.catalogue import BUILT_IN, FUNCTIONS
from pilothouse.flows.promptflow.finder import served


class ToolLine(Struct, frozen=True, kw_only=True):
    """One tool: its id, what brings it, what it takes, and what is wrong with it."""

    id: str
    type: str
    source: str
    inputs: tuple[str, ...]
    problems: tuple[str, ...] = ()


@click.command(short_help="List the tools that nodes may name by id.")
@click.option("--check", is_flag=True, help="Import each installed tool and compare it with what its package says.")
@json_option
def tools(check: bool, as_json: bool) -> None:
    """List the tools that a node may name by id: those built in, and those of installed packages.

    With --check, leaves with 1 when a package describes a tool that it does not have.
    """
    lines = [*_built_in(), *_packages(check=check)]
    if as_json:
        emit_json(lines)
    else:
        out = console()
        for line in lines:
            out.print(Text(line.id, style="bold") + Text(f"  {line.type}, {line.source}"), soft_wrap=True)
            out.print(Text(f"  {', '.join(line.inputs)}"), soft_wrap=True)
            for problem in line.problems:
                click.echo(f"error: {line.id}: {problem}", err=True)
    if any(line.problems for line in lines):
        raise click.exceptions.Exit(1)


def _built_in() -> Iterator[ToolLine]:
    for identifier in sorted(BUILT_IN):
        word = identifier.rpartition(".")[2]
        if identifier in FUNCTIONS:
            yield ToolLine(
                id=identifier,
                type="python",
                source="pilothouse",
                inputs=tuple(inspect.signature(FUNCTIONS[identifier].load()).parameters),
            )
            continue
        if word == "embedding":
            inputs: tuple[str, ...] = ("input", *sorted(MODEL_NAMES))
        elif word in {"chat", "completion", "llm", "llm_vision"}:
            inputs = (*sorted(MODEL_NAMES), *sorted(PARAMETERS["completion" if word == "completion" else "chat"]))
        else:
            inputs = ()
        yield ToolLine(id=identifier, type="llm", source="pilothouse", inputs=("connection", *inputs))


def _packages(*, check: bool) -> Iterator[ToolLine]:
    with served():
        for identifier, said in sorted(offered().items()):
            yield ToolLine(
                id=identifier,
                type=str(said.get("type", "python")),
                source=str(said.get("release", "")),
                inputs=tuple(_named(said)),
                problems=tuple(_problems(said)) if check else (),
            )


def _named(said: dict[str, Any]) -> dict[str, Any]:
    given: Any = said.get("inputs")
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _problems(said: dict[str, Any]) -> Iterator[str]:
    try:
        module = import_module(str(said.get("module")))
        owner = getattr(module, str(said["class_name"])) if said.get("class_name") else None
        function = getattr(owner or module, str(said.get("function")))
    except Exception as error:  # noqa: BLE001 - the package's own code; whatever it raises is what is wrong
        yield f"it cannot be imported: {type(error).__name__}: {error}"
        return
    parameters = {
        name: item
        for part in (owner, function)
        if part is not None
        for name, item in inspect.signature(part).parameters.items()
        if name != "self"
    }
    free = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())
    for name in _named(said):
        if name not in parameters and not free:
            yield f"its package describes the input '{name}', which '{said.get('function')}' does not take"
    for name, item in parameters.items():
        needed = item.default is inspect.Parameter.empty and item.kind is not inspect.Parameter.VAR_KEYWORD
        if needed and name not in _named(said) and said.get("type") != "custom_llm":
            yield f"'{said.get('function')}' needs '{name}', which its package does not describe"
