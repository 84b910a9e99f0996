"""The parameters of the two APIs: what among an llm node's inputs goes to the model, and in which form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.literals import CONVERTERS
from pilothouse.flows.types import Api, LiteralValue

_SHARED: dict[str, str] = {
    "temperature": "double",
    "top_p": "double",
    "n": "int",
    "stream": "bool",
    "stop": "texts",
    "max_tokens": "int",
    "presence_penalty": "double",
    "frequency_penalty": "double",
    "logit_bias": "object",
    "user": "string",
}
PARAMETERS: dict[Api, dict[str, str]] = {
    "chat": {
        **_SHARED,
        "max_completion_tokens": "int",
        "functions": "list",
        "function_call": "object",
        "tools": "list",
        "tool_choice": "object",
        "response_format": "object",
        "seed": "int",
    },
    "completion": {**_SHARED, "suffix": "string", "logprobs": "int", "echo": "bool", "best_of": "int"},
}
"""Type of each parameter, by API."""

MODEL_NAMES = ("deployment_name", "model")
_RESERVED = ("prompt", "connection")
_RESPONSE_FORMATS = ("text", "json_object", "json_schema")


def reserved_names(api: Api, inputs: Iterable[str]) -> frozenset[str]:
    """Return the names that a template variable of an llm node cannot have.

    Azure nodes name a deployment and OpenAI nodes a model: the name that a node does not use is free.
    """
    model = "deployment_name" if "deployment_name" in inputs else "model"
    return frozenset({*PARAMETERS[api], *_RESERVED, model})


def split_inputs(api: Api, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters and the template variables among the inputs of an llm node."""
    names = PARAMETERS[api]
    parameters = {name: value for name, value in values.items() if name in names or name in MODEL_NAMES}
    variables = {name: value for name, value in values.items() if name not in names or name in MODEL_NAMES}
    return parameters, variables


def parameter(api: Api, name: str, value: Any, where: str) -> Any:
    """Return one parameter in its type; None for what prompt flow does not send.

    Raises:
        FlowError: when the value is not of the type.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if name in {"max_tokens", "max_completion_tokens"} and str(value).lower() == "inf":
        return None
    kind = PARAMETERS[api].get(name, "string")
    try:
        made = _texts(value) if kind == "texts" else CONVERTERS[kind](value)
    except (ValueError, TypeError, OverflowError) as error:
        raise FlowError(f"'{name}' is {value!r}: {error}", where=where, expected=f"{name}: {kind}") from error
    if not made and kind not in {"int", "double", "bool"}:
        return None
    _check(name, made, where)
    return made


def wants_stream(value: Any) -> bool:
    """Return whether a parameter ``stream``, a literal of a node or a value, asks for an answer in pieces."""
    given = value.value if isinstance(value, LiteralValue) else value
    return str(given).lower() == "true"


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return (value,)
        value = cast("list[Any]", parsed) if isinstance(parsed, list) else [value]
    if not isinstance(value, list | tuple):
        raise TypeError("neither a text nor a list of texts")
    return tuple(str(item) for item in cast("list[Any]", value))


def _check(name: str, value: Any, where: str) -> None:
    if name == "tools":
        for index, item in enumerate(value):
            _check_tool(f"tools[{index}]", item, where)
    elif name == "functions":
        for index, item in enumerate(value):
            _check_function(f"functions[{index}]", item, where)
    elif name == "response_format":
        _check_response_format(value, where)
    elif name == "tool_choice" and isinstance(value, dict):
        _need(name, cast("dict[str, Any]", value), ("type", "function"), where)
    elif name == "function_call" and isinstance(value, dict):
        _need(name, cast("dict[str, Any]", value), ("name",), where)


def _check_tool(place: str, value: Any, where: str) -> None:
    tool = _need(place, value, ("type", "function"), where)
    _check_function(f"{place}.function", tool["function"], where)


def _check_function(place: str, value: Any, where: str) -> None:
    function = _need(place, value, ("name", "parameters"), where)
    schema = _need(f"{place}.parameters", function["parameters"], ("type", "properties"), where)
    if schema["type"] != "object" or not isinstance(schema["properties"], dict):
        raise FlowError(
            f"{place}.parameters is not the JSON schema of an object",
            where=where,
            expected='{"type": "object", "properties": {...}}',
        )


def _check_response_format(value: Any, where: str) -> None:
    fields = _need("response_format", value, ("type",), where)
    if fields["type"] not in _RESPONSE_FORMATS:
        raise FlowError(
            f"response_format has the type '{fields['type']}'", where=where, expected=", ".join(_RESPONSE_FORMATS)
        )
    if fields["type"] == "json_schema":
        inner = _need("response_format.json_schema", fields.get("json_schema"), ("name", "schema"), where)
        _need("response_format.json_schema.schema", inner["schema"], (), where)


def _need(place: str, value: Any, keys: Iterable[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FlowError(f"{place} is not a mapping but {type(value).__name__}", where=where)
    fields = cast("dict[str, Any]", value)
    for key in keys:
        if key not in fields:
            raise FlowError(f"{place} has no '{key}'", where=where, expected=f"{place}.{key}")
    return fields
