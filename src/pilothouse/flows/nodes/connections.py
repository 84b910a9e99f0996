"""Connections that python tools take as parameters, recognised by the name of the parameter's class."""

from __future__ import annotations

import inspect
import typing
from typing import Any

from pilothouse.core.errors import ConnectionFault, FlowError
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.models.types import Connection

_CLASSES = {
    "AzureOpenAIConnection": "azure_open_ai",
    "OpenAIConnection": "open_ai",
    "ServerlessConnection": "serverless",
    "CognitiveSearchConnection": "cognitive_search",
    "AzureAIServicesConnection": "azure_ai_services",
    "AzureContentSafetyConnection": "azure_content_safety",
    "FormRecognizerConnection": "form_recognizer",
    "SerpConnection": "serp",
    "QdrantConnection": "qdrant",
    "WeaviateConnection": "weaviate",
    "CustomConnection": "custom",
    "CustomStrongTypeConnection": "custom",
}
_ANY = "Connection"
_PROMPTFLOW = ("promptflow.", "pilothouse.flows.promptflow.")
# What a connection file of a strong type says about its class, beside the keys of that class.
_ABOUT_THE_CLASS = ("custom_type", "module", "package", "package_version")
IDENTITY = "__pilothouse_identity__"
"""Attribute of prompt flow's objects: what tells two connections apart, without a secret."""


def connection_types(annotation: Any) -> frozenset[str] | None:
    """Return the types of connection that a parameter takes; empty for any type, None when it takes none."""
    if isinstance(annotation, str):
        names = [part.strip("'\" ").rpartition(".")[2] for part in annotation.split("|")]
    else:
        names = [base.__name__ for item in _classes(annotation) for base in inspect.getmro(item)]
    if any(name == _ANY for name in names):
        return frozenset()
    found = frozenset(_CLASSES[name] for name in names if name in _CLASSES)
    return found or None


def find_connection(name: str, types: frozenset[str], models: ModelLookup | None, where: str) -> Connection:
    """Return the connection that a literal input names.

    Raises:
        FlowError: when no connections are at hand, or it is of another type than the parameter.
        ConnectionFault: when it is missing or incomplete.
    """
    if models is None:
        raise FlowError(f"the connection '{name}' is needed, but no connections are at hand here", where=where)
    connection = models.connection(name)
    if types and connection.type not in types:
        raise ConnectionFault(
            f"the connection '{name}' is of the type {connection.type}",
            where=where,
            expected=f"a connection of the type {' or '.join(sorted(types))}",
        )
    return connection


def as_annotated(connection: Connection, annotation: Any, where: str) -> Any:
    """Return a connection as an object of prompt flow's class that the parameter is annotated with, else as it is.

    Raises:
        ConnectionFault: when the class needs keys that the connection does not have.
    """
    for option in _classes(annotation):
        bases = inspect.getmro(option)
        if any(base.__module__.startswith(_PROMPTFLOW) for base in bases) and any(
            _CLASSES.get(base.__name__) == connection.type for base in bases
        ):
            made = _made(option, connection, where)
            vars(made)[IDENTITY] = connection.identity()
            return made
    return connection


def _made(kind: type, connection: Connection, where: str) -> Any:
    secrets = {key: secret.reveal() for key, secret in connection.secrets.items()}
    if connection.type != "custom":
        return kind(name=connection.name, **connection.configs, **secrets)
    custom_type = connection.configs.get("custom_type")
    is_strong = kind.__name__ != "CustomConnection"
    if is_strong and custom_type and custom_type != kind.__name__:
        raise ConnectionFault(
            f"the connection '{connection.name}' is of the custom type {custom_type}",
            where=where,
            expected=f"a connection of the custom type {kind.__name__}",
        )
    configs = {key: value for key, value in connection.configs.items() if key not in _ABOUT_THE_CLASS}
    return kind(name=connection.name, configs=configs if is_strong else dict(connection.configs), secrets=secrets)


def _classes(annotation: Any) -> list[type]:
    return [item for item in typing.get_args(annotation) or (annotation,) if inspect.isclass(item)]
