"""The OpenAPI 3.1 document, made from the operations and their own types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.access.doors import Operation
from pilothouse.core.version import VERSION

PREFIX: Final = "/api/v1"

_REF: Final = "#/components/schemas/{name}"
_VARIABLE: Final = re.compile(r"{(\w+)}")
_FAILURES: Final = {
    400: "what was given cannot be",
    401: "no key, or one that opens nothing",
    403: "the key's role does not allow it",
    404: "it is not there",
    409: "its state does not allow it",
    412: "it has changed since it was read",
    503: "the database does not answer",
}


class ErrorDetail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong.

    Attributes:
        code: A stable word for programs.
        message: What, in one sentence.
        where: The place.
        expected: What would have been right.
        fix: What to do.
    """

    code: str
    message: str
    where: str = ""
    expected: str = ""
    fix: str = ""


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """How every failure is answered.

    Attributes:
        error: What is wrong.
    """

    error: ErrorDetail


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of operations."""
    types = [*dict.fromkeys(_types(operations)), ErrorAnswer]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pilothouse", "version": VERSION, "description": "The API that looks after the gateway."},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {name: _plain(schema) for name, schema in components.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(operations: Iterable[Operation]) -> Iterable[Any]:
    for operation in operations:
        yield operation.answer
        if operation.body is not None:
            yield operation.body


def _operation(operation: Operation, by_type: dict[Any, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary, "content": _json(by_type[operation.answer])}
    if operation.revision is not None:
        good["headers"] = {"ETag": {"description": "its revision", "schema": {"type": "string"}}}
    told: dict[str, Any] = {
        "operationId": getattr(operation.run, "__name__", operation.path),
        "summary": operation.summary,
        "description": f"Needs the right `{operation.action}`.",
        "tags": [operation.path.split("/")[1]],
        "parameters": [*_parameters(operation)],
        "responses": {
            str(operation.status): good,
            **{
                str(status): {"description": text, "content": _json(by_type[ErrorAnswer])}
                for status, text in _FAILURES.items()
            },
        },
    }
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": _json(by_type[operation.body])}
    return told


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in _VARIABLE.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if operation.query is not None:
        (_, components) = msgspec.json.schema_components([operation.query], ref_template=_REF)
        schema = components[operation.query.__name__]
        for name, kind in schema["properties"].items():
            yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": kind}
    if operation.revision is not None and operation.method != "GET" and operation.status != 201:
        words = "change it only if this is its ETag still"
        yield {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": words,
            "schema": {"type": "string"},
        }


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose description is the first line of the docstring, which is made for readers of code."""
    if "description" in schema:
        return {**schema, "description": str(schema["description"]).partition("\n")[0]}
    return schema
