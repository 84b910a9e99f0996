"""The OpenAPI document of a served flow, in the form of prompt flow's `swagger.json`."""

from __future__ import annotations

from typing import Any, Final

from pilothouse.core.version import VERSION
from pilothouse.flows.chat.conversation import chat_ports, is_chat
from pilothouse.flows.types import Flow, FlowInput, FlowOutput

_TYPES: Final = {"int": "integer", "double": "number", "bool": "boolean", "list": "array", "object": "object"}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "enum": ["UserError", "SystemError"]},
                "message": {"type": "string"},
                "node": {"type": "string"},
                "type": {"type": "string"},
                "trace_id": {"type": "string"},
            },
        }
    },
}
_FAILURES: Final = {
    "400": "an input is missing or not of its type",
    "406": "the flow does not answer in an accepted form",
    "408": "the body came too slowly",
    "413": "the body is too large",
    "415": "the body is of a type that is not read",
    "500": "a tool failed",
    "502": "a model failed",
    "503": "too many requests, or the server is ending",
    "504": "the flow took too long",
}


def describe(flow: Flow, *, hidden: frozenset[str], streams: bool, has_key: bool) -> dict[str, Any]:
    """Return the OpenAPI document of a flow.

    Args:
        flow: The flow.
        hidden: Outputs that are not answered.
        streams: Whether some output may be streamed.
        has_key: Whether the server wants a key.
    """
    paths: dict[str, Any] = {
        "/score": {"post": _score(flow, hidden, streams=streams)},
        "/feedback": {"post": _feedback()},
        "/health": {"get": {**_simple("whether the server takes requests", "503"), "security": []}},
        "/version": {"get": _simple("the version of the server and of the flow")},
    }
    document: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {
            "title": f"Promptflow[{flow.name}] API",
            "version": VERSION,
            "x-flow-name": flow.name,
            **({"description": flow.description} if flow.description else {}),
            **_chat(flow),
        },
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }
    if has_key:
        document["components"]["securitySchemes"] = {"bearerAuth": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"bearerAuth": []}]
    return document


def _chat(flow: Flow) -> dict[str, str]:
    if not is_chat(flow):
        return {}
    ports = chat_ports(flow)
    return {
        "x-flow-type": "chat",
        "x-chat-input": ports.question,
        "x-chat-history": ports.history,
        "x-chat-output": ports.answer,
    }


def _score(flow: Flow, hidden: frozenset[str], *, streams: bool) -> dict[str, Any]:
    outputs = {name: _output(item) for name, item in flow.outputs.items() if name not in hidden}
    content: dict[str, Any] = {"application/json": {"schema": _object(outputs) if outputs else {}}}
    if streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    needed = [
        item.name
        for item in flow.inputs.values()
        if not (item.has_default or item.default_in_code or item.is_chat_history)
    ]
    schema = _object({name: _input(item) for name, item in flow.inputs.items()})
    if needed:
        schema["required"] = needed
    body: dict[str, Any] = {"schema": schema, **({"example": flow.sample} if flow.sample else {})}
    return {
        "summary": f"run the flow {flow.name}",
        "operationId": "score",
        "requestBody": {"required": bool(needed), "content": {"application/json": body}},
        "responses": {
            "200": {"description": "the outputs", "content": content},
            **{status: _failure(text) for status, text in _FAILURES.items()},
        },
    }


def _feedback() -> dict[str, Any]:
    traced = {"name": "traceparent", "in": "header", "description": "that of the answer it is about"}
    flat = {"name": "flatten", "in": "query", "description": "make an attribute of each key"}
    return {
        "summary": "record feedback on the trace of an answer",
        "operationId": "feedback",
        "parameters": [{**traced, "schema": {"type": "string"}}, {**flat, "schema": {"type": "boolean"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _object({})}}},
        "responses": {"200": _ok("it is recorded"), "413": _failure("it is too large")},
    }


def _simple(text: str, failure: str = "") -> dict[str, Any]:
    return {"summary": text, "responses": {"200": _ok("it is so"), **({failure: _ok("it is not")} if failure else {})}}


def _ok(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _object({})}}}


def _failure(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": True}


def _schema(kind: str) -> dict[str, Any]:
    # An image is an object such as {"data:image/png;base64": ...}, or its address.
    if kind == "image":
        return {"anyOf": [{"type": "object"}, {"type": "string"}]}
    made: dict[str, Any] = {"type": _TYPES.get(kind, "string")}
    return {**made, "items": {}} if kind == "list" else made


def _input(item: FlowInput) -> dict[str, Any]:
    # Where nothing says the type, any value will do.
    schema = {} if item.conversion == "none" else _schema(item.type)
    if item.description:
        schema["description"] = item.description
    if item.has_default:
        schema["default"] = item.default
    if item.enum:
        schema["enum"] = list(item.enum)
    if item.conversion == "nullable" and schema.get("type"):
        schema["nullable"] = True
    return schema


def _output(item: FlowOutput) -> dict[str, Any]:
    return {**_schema(item.type), **({"description": item.description} if item.description else {})}
