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


def connection_types(annotation: Any) -> frozenset[str] | None:
    """Return the types of connection that a parameter takes; empty for any type, None when it takes none."""
    if isinstance(annotation, str):
        names = [part.strip("'\" ").rpartition(".")[2] for part in annotation.split("|")]
    else:
        options = typing.get_args(annotation) or (annotation,)
        names = [base.__name__ for item in options if inspect.isclass(item) for base in inspect.getmro(item)]
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
