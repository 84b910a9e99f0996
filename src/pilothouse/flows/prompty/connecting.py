"""Where a prompty's model comes from: a connection of the project, the file itself, or the environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pilothouse.core.errors import ConnectionFault, FlowError
from pilothouse.flows.environment.references import missing_variable, resolved
from pilothouse.flows.nodes.work import ModelLookup, NodeContext
from pilothouse.flows.types import Node, Prompty
from pilothouse.models.client import ModelClient
from pilothouse.models.connection_types import TYPES
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

_VARIABLES = {
    "azure_open_ai": {
        "api_base": "AZURE_OPENAI_ENDPOINT",
        "api_key": "AZURE_OPENAI_API_KEY",
        "api_version": "OPENAI_API_VERSION",
    },
    "open_ai": {"api_key": "OPENAI_API_KEY", "organization": "OPENAI_ORG_ID", "base_url": "OPENAI_BASE_URL"},
}
_NEEDED = {"azure_open_ai": ("api_base", "api_key"), "serverless": ("api_base", "api_key")}


def connected(
    node: Node, prompty: Prompty, context: NodeContext, models: ModelLookup, model: str
) -> tuple[Connection, ModelClient, int | None]:
    """Return the connection of a prompty, its client, and how many calls it serves at once.

    Raises:
        FlowError: when it names no model.
        ConnectionFault: when the connection is missing or incomplete, naming what to set.
    """
    name = node.connection or ("" if prompty.type else context.settings.default_connection)
    if name:
        models.check(name, model)
        return models.connection(name), models.client(name), models.slots(name)
    if not prompty.type:
        raise FlowError(
            f"the prompty '{node.name}' names no model",
            where=prompty.where,
            expected="model: {configuration: {type: openai, model: ...}} or {configuration: {connection: <name>}}"
            if prompty.dialect == "v1"
            else "model: {id: ..., provider: openai} or {id: ..., connection: {kind: reference, name: <name>}}",
            fix="or set flows.default_connection in pilothouse.yaml",
        )
    connection = inline_connection(node.name, prompty, context)
    return connection, models.open(connection), None


def inline_connection(name: str, prompty: Prompty, context: NodeContext) -> Connection:
    """Return the connection that a prompty describes itself, from the environment where it says nothing.

    As in prompt flow, the environment's own variables are read only where the file gives no field at all: a key of
    one server is never sent to another.

    Raises:
        ConnectionFault: naming the variable or field that is missing.
    """
    kind = TYPES[prompty.type]
    values = resolved(prompty.configuration, context.folder, context.environment, prompty.where)
    variables = _VARIABLES.get(prompty.type, {})
    if not prompty.configuration:
        found = {key: context.environment.get(variable, "") for key, variable in variables.items()}
        values = {key: value for key, value in found.items() if value}
    refuse_unset(name, values, prompty.where)
    needed = _NEEDED.get(prompty.type, ())
    if prompty.type == "open_ai" and not values.get("base_url"):
        needed = ("api_key",)
    if values.get("auth_mode") == "meid_token":
        needed = tuple("token" if key == "api_key" else key for key in needed)
    for key in needed:
        if not values.get(key):
            raise _missing(name, key, prompty, variables.get(key))
    filled = {key: rule.default for key, rule in kind.fields.items() if rule.default} | values
    secrets = [key for key, rule in kind.fields.items() if rule.secret]
    return Connection(
        name=name,
        type=prompty.type,
        configs={key: str(value) for key, value in filled.items() if key not in secrets},
        secrets={key: Secret(str(filled[key])) for key in secrets if filled.get(key)},
        where=prompty.where,
    )


def refuse_unset(name: str, values: dict[str, Any], where: str) -> None:
    """Refuse references to variables that are not set: they are never sent in the place of a value.

    Raises:
        ConnectionFault: naming the variable.
    """
    for key, value in values.items():
        for variable in _unset(value):
            raise ConnectionFault(
                f"the prompty '{name}' has no '{key}': the environment variable {variable} is not set",
                where=where,
                fix=f"export {variable}=... or write {variable}=... into .env",
            )


def _unset(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _unset(item)
        return
    variable = missing_variable(value)
    if variable is not None:
        yield variable


def _missing(name: str, key: str, prompty: Prompty, variable: str | None) -> ConnectionFault:
    field = {"api_key": "apiKey", "api_base": "endpoint"}.get(key, key) if prompty.dialect == "v2" else key
    fix = f"write {field}: ${{env:{variable or key.upper()}}} into its {_PLACES[prompty.dialect]}"
    if variable is not None and not prompty.configuration:
        fix = f"export {variable}=... or write {variable}=... into .env"
    return ConnectionFault(f"the prompty '{name}' has no '{key}'", where=prompty.where, fix=fix)


_PLACES = {"v1": "configuration", "v2": "connection"}
