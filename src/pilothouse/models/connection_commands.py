"""Connections: named ways to models and other services, without their keys."""

from __future__ import annotations

import asyncio
import time

import click

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.models.connections import FieldState
from pilothouse.models.secret import MASK
from pilothouse.models.service import ModelService
from pilothouse.models.types import ChatRequest, ChatResponse, Message

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


@click.group()
def connection() -> None:
    """Connections: named ways to model providers and other services, without their keys."""


@connection.command("list")
@json_option
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """List the connections of the project."""
    service = services.get(ModelService)
    found = service.connections()
    missing = {spec.name: _missing(service.files.states(spec.name)) for spec in found}
    if as_json:
        emit_json(
            [
                {"name": spec.name, "type": spec.type, "file": spec.where or None, "missing": missing[spec.name]}
                for spec in found
            ]
        )
        return
    rows = [(spec.name, spec.type, ", ".join(missing[spec.name]) or "-", spec.where or "built in") for spec in found]
    console().print(table(None, ("connection", "type", "not set", "file"), rows))


@connection.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(services: Services, name: str, as_json: bool) -> None:
    """Show the connection NAME: each field, where its value comes from, never a secret."""
    service = services.get(ModelService)
    spec = service.files.spec(name)
    states = service.files.states(name)
    if as_json:
        emit_json({"name": name, "type": spec.type, "file": spec.where or None, "fields": states})
        return
    rows = [(state.key, _shown(state), _origin(state)) for state in states]
    console().print(table(f"{name} ({spec.type})", ("field", "value", "comes from"), rows))


@connection.command()
@click.argument("name")
@click.option("--type", "kind", required=True, help="open_ai, azure_open_ai, serverless, local, custom ...")
@click.option("--set", "pairs", multiple=True, metavar="FIELD=VALUE", help="A field; a secret as '${env:NAME}'.")
@click.pass_obj
def add(services: Services, name: str, kind: str, pairs: tuple[str, ...]) -> None:
    """Write the file of a new connection NAME. Keys are referred to, never stored."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"'{pair}' is not a field and its value", expected="--set FIELD=VALUE")
        values[key.strip()] = value
    service = services.get(ModelService)
    path = service.files.add(name, kind, values)
    screen = console()
    screen.print(f"wrote {path}", soft_wrap=True, markup=False)
    for state in service.files.states(name):
        if state.secret and state.source == "missing" and state.text:
            unset = ", ".join(variable for variable, is_set in state.variables.items() if not is_set)
            screen.print(f"set {unset} in the environment or in .env", markup=False)
    screen.print(f"then: pilothouse connection test {name}", markup=False)


@connection.command()
@click.argument("name")
@click.option("--model", default="", help="The model to ask; the connection's own by default.")
@json_option
@click.pass_obj
def test(services: Services, name: str, model: str, as_json: bool) -> None:
    """Make one tiny real call through the connection NAME and report how long it took."""
    service = services.get(ModelService)
    resolved = service.connection(name)
    client = service.client(name)
    if not model and resolved.type not in {"local", "scripted"}:
        raise UserError("which model shall be asked?", expected=f"pilothouse connection test {name} --model MODEL")

    async def call() -> ChatResponse:
        try:
            message = Message(role="user", content="Answer with one word: ok")
            return await client.chat(ChatRequest(model=model, messages=(message,), max_tokens=16))
        finally:
            await service.aclose()

    begun = time.perf_counter()
    response = asyncio.run(call())
    seconds = time.perf_counter() - begun
    usage = response.usage
    if as_json:
        emit_json({"connection": name, "model": response.model, "seconds": seconds, "usage": usage})
        return
    counted = f", {usage.input_tokens} + {usage.output_tokens} tokens" if usage else ", no usage reported"
    console().print(f"{name} answers: {response.model}, {seconds:.2f} s{counted}", markup=False)


def _missing(states: list[FieldState]) -> list[str]:
    return [
        variable
        for state in states
        if state.source == "missing"
        for variable, is_set in state.variables.items()
        if not is_set
    ]


def _shown(state: FieldState) -> str:
    if state.source == "missing" and not state.text:
        return ""
    return state.text or (MASK if state.secret else "")


def _origin(state: FieldState) -> str:
    if state.source == "environment":
        return f"{state.override} in the environment"
    if state.variables:
        named = ", ".join(f"{name} ({'set' if is_set else 'not set'})" for name, is_set in state.variables.items())
        return f"{named}, named in {state.where}"
    if state.source == "file":
        return state.where
    return "the type's default" if state.source == "default" else f"nowhere yet; {state.override} would set it"
