"""Connections: named ways to models and other services, without their keys."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from pilothouse.core.environment import read_dotenv
from pilothouse.core.errors import ConnectionFault, UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.models.connection_types import connection_type
from pilothouse.models.connections import (
    ConnectionSpec,
    FieldState,
    is_blank,
    is_reference,
    override_variable,
    read_connection,
)
from pilothouse.models.secret import MASK
from pilothouse.models.service import ModelService
from pilothouse.models.types import ChatRequest, ChatResponse, Message

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
set_option = click.option(
    "--set", "pairs", multiple=True, metavar="FIELD=VALUE", help="A field; a secret as '${env:NAME}'."
)


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
@set_option
@click.pass_obj
def add(services: Services, name: str, kind: str, pairs: tuple[str, ...]) -> None:
    """Write the file of a new connection NAME. Keys are referred to, never stored."""
    services.get(ModelService).files.add(name, kind, _changed(name, kind, pairs))
    _tell(services, name, verb="wrote")


@connection.command()
@click.option("--file", "-f", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True,
              help="A connection file of prompt flow or ours, or a .env file for a custom connection.")  # fmt: skip
@click.option("--name", "-n", help="The name flows use; that of the file by default.")
@set_option
@click.option("--replace", is_flag=True, help="Write over a connection of this name.")
@json_option
@click.pass_obj
def create(
    services: Services, path: Path, name: str | None, pairs: tuple[str, ...], replace: bool, as_json: bool
) -> None:
    """Take a connection file into the project. Keys are referred to, never stored."""
    files = services.get(ModelService).files
    if path.suffix == ".env" or path.name == ".env":
        if not name:
            raise UserError("a .env file names no connection", expected="--name NAME")
        kind, values = "custom", {f"secrets.{key}": f"${{env:{key}}}" for key in read_dotenv(path)}
    else:
        spec = read_connection(path)
        name, kind, values = name or spec.name, spec.type, _values(name or spec.name, spec)
    files.add(name, kind, {**values, **_changed(name, kind, pairs)}, replace=replace)
    _tell(services, name, as_json=as_json, verb="wrote")


@connection.command()
@click.argument("name")
@set_option
@json_option
@click.pass_obj
def update(services: Services, name: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Change fields of the connection NAME; its file is written anew, without comments."""
    files = services.get(ModelService).files
    spec = files.spec(name)
    if not spec.where:
        raise UserError(f"'{name}' is built in", fix=f"pilothouse connection add {name} --type {spec.type} --set ...")
    files.add(name, spec.type, {**_values(spec.name, spec), **_changed(name, spec.type, pairs)}, replace=True)
    _tell(services, name, as_json=as_json, verb="changed")


@connection.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(services: Services, name: str, yes: bool) -> None:
    """Delete the file of the connection NAME; keys stay where they are."""
    spec = services.get(ModelService).files.spec(name)
    if not spec.where:
        raise UserError(f"'{name}' is built in and has no file")
    if not yes:
        click.confirm(f"delete {spec.where}?", abort=True)
    Path(spec.where).unlink()
    click.echo(f"deleted {spec.where}")


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


def _tell(services: Services, name: str, *, verb: str, as_json: bool = False) -> None:
    """Say what became of a connection's file, and what has to be set for it."""
    files = services.get(ModelService).files
    spec, states = files.spec(name), files.states(name)
    if as_json:
        emit_json({"name": name, "type": spec.type, "file": spec.where, "fields": states})
        return
    screen = console()
    screen.print(f"{verb} {spec.where}", soft_wrap=True, markup=False)
    for state in states:
        if state.secret and state.source == "missing" and state.text:
            unset = ", ".join(variable for variable, is_set in state.variables.items() if not is_set)
            screen.print(f"set {unset} in the environment or in .env", markup=False)
    if spec.kind.serves_models:
        screen.print(f"then: pilothouse connection test {name}", markup=False)


def _values(name: str, spec: ConnectionSpec) -> dict[str, str]:
    """Return the fields of a file as `ConnectionFolder.add` takes them; a secret left open becomes a reference."""
    found: dict[str, str] = {}
    for key, text in spec.texts.items():
        is_own = key in spec.kind.fields
        place = key if is_own else f"{'secrets' if key in spec.hidden else 'configs'}.{key}"
        if not is_blank(text):
            found[place] = text
        elif key in spec.hidden and not is_own:
            found[place] = f"${{env:{override_variable(name, key)}}}"
    return found


def _changed(name: str, kind: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the fields named by `--set`; an empty value, stars and `<no-change>` keep what is there.

    Raises:
        UserError: for text that is not a pair.
        ConnectionFault: for a secret in the clear.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals:
            raise UserError(f"'{pair}' is not a field and its value", expected="--set FIELD=VALUE")
        rule = connection_type(kind).fields.get(key)
        is_secret = rule.secret if rule is not None else key.startswith("secrets.")
        if is_secret and not is_blank(value) and not is_reference(value):
            variable = override_variable(name, key.removeprefix("secrets."))
            raise ConnectionFault(
                f"the secret '{key}' is given in the clear",
                where=f"--set {key}={MASK}",
                expected=f"--set '{key}=${{env:NAME}}', or no --set at all",
                fix=f"put the value into the environment or .env as {variable}=...; it wins over the file",
            )
        if not is_blank(value):
            found[key] = value
    return found


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
