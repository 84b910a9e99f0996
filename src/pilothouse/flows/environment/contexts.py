"""A flow with what a call changes in it: its variant, connections, inputs of nodes, defaults and variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.environment import Environment
from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.promptflow.connections import FixedConnection, PromptflowConnection
from pilothouse.flows.promptflow.contexts import FlowContext
from pilothouse.flows.types import Flow
from pilothouse.models.client import ModelClient
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

_PLACES = "nodes.<node>.inputs.<input>, nodes.<node>.connection, inputs.<input>.default, environment_variables.<NAME>"


class Changed(Struct, frozen=True, kw_only=True):
    """What a runner is made with.

    Attributes:
        flow: The flow with its defaults and variables changed.
        connections: Node -> {``connection``, or an input: value}.
        objects: Connections that were given as objects, by the names that stand for them.
    """

    flow: Flow
    connections: dict[str, dict[str, Any]]
    objects: dict[str, Connection]


def changed(flow: Flow, context: FlowContext) -> Changed:
    """Return what a context makes of a flow.

    Raises:
        FlowError: for an override of something that the flow does not have.
    """
    objects: dict[str, Connection] = {}
    nodes = {node: {key: _named(item, objects) for key, item in values.items()}
             for node, values in context.connections.items()}  # fmt: skip
    for place, value in context.overrides.items():
        match place.split("."):
            case ["nodes", node, "inputs", name]:
                nodes.setdefault(node, {})[name] = _literal(place, _named(value, objects), flow)
            case ["nodes", node, "connection"]:
                nodes.setdefault(node, {})["connection"] = _named(value, objects)
            case ["inputs", name, "default"]:
                flow = _with_default(flow, name, value)
            case ["environment_variables", name]:
                flow = replace(flow, environment_variables={**flow.environment_variables, name: str(value)})
            case _:
                raise FlowError(f"'{place}' cannot be overridden", where=str(flow.path), expected=_PLACES)
    return Changed(flow=flow, connections=nodes, objects=objects)


def given_connection(connection: PromptflowConnection) -> Connection:
    """Return a connection object that a user made as a connection of the house."""
    kind = connection.KIND if isinstance(connection, FixedConnection) else "custom"
    return Connection(
        name=connection.name or f"<{type(connection).__name__}>",
        type=kind,
        configs={key: str(value) for key, value in connection.configs.items() if value is not None},
        secrets={key: Secret(value) for key, value in connection.secrets.items()},
    )


class WithObjects:
    """Finds connections that were given as objects first, and all others where they are kept.

    Args:
        models: Where the others are found.
        objects: By the names that stand for them.
    """

    def __init__(self, models: ModelLookup, objects: Mapping[str, Connection]) -> None:
        self._models = models
        self._objects = objects
        self._clients: dict[str, ModelClient] = {}

    @property
    def environment(self) -> Environment:
        """The variables that references to the environment are resolved with."""
        return self._models.environment

    def connection(self, name: str) -> Connection:
        """Return a connection."""
        return self._objects[name] if name in self._objects else self._models.connection(name)

    def client(self, name: str) -> ModelClient:
        """Return the client of a connection."""
        if name not in self._objects:
            return self._models.client(name)
        if name not in self._clients:
            self._clients[name] = self._models.open(self._objects[name])
        return self._clients[name]

    def check(self, name: str, model: str) -> None:
        """Raise now what every call to a model would raise."""
        if name not in self._objects:
            self._models.check(name, model)

    def slots(self, name: str) -> int | None:
        """Return how many calls a connection serves at once."""
        return None if name in self._objects else self._models.slots(name)

    def open(self, connection: Connection) -> ModelClient:
        """Return a client of a connection that stands in no file."""
        return self._models.open(connection)


def _named(value: Any, objects: dict[str, Connection]) -> Any:
    if not isinstance(value, PromptflowConnection):
        return value
    connection = given_connection(value)
    # No file's name looks like this.
    name = f"{connection.name} <object {len(objects) + 1}>"
    objects[name] = replace(connection, name=name)
    return name


def _literal(place: str, value: Any, flow: Flow) -> Any:
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        raise FlowError(
            f"'{place}' is overridden with the reference {value}",
            where=str(flow.path),
            expected="a value: what a node reads is decided by the flow's file",
        )
    return value


def _with_default(flow: Flow, name: str, value: Any) -> Flow:
    if name not in flow.inputs:
        raise FlowError(
            f"the flow has no input '{name}'", where=str(flow.path), expected=nearest_hint(name, flow.inputs)
        )
    declared = replace(flow.inputs[name], default=value, has_default=True, default_in_code=False)
    return replace(flow, inputs={**flow.inputs, name: declared})
