"""The model that a prompty names, from the front matter of either dialect."""

from __future__ import annotations

from typing import Any

from pilothouse.core.errors import ConnectionFault, FlowError, nearest_hint
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.nodes.parameters import PARAMETERS, parameter
from pilothouse.flows.prompty.document import Source
from pilothouse.flows.types import Api, Prompty
from pilothouse.models.connection_types import TYPES, connection_type

_V1_KEYS = ("api", "configuration", "parameters", "response", "connection")
_V2_KEYS = ("id", "provider", "apiType", "api", "connection", "options")
_V2_CONNECTION = ("kind", "name", "endpoint", "apiKey", "apiVersion", "authenticationMode", "usageDescription")
_ALIASES = {"azure_endpoint": "api_base", "azure_deployment": "model", "deployment_name": "model"}
_OPTIONS = {
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "allowMultipleToolCalls": "parallel_tool_calls",
}
_MODEL: tuple[Key, ...] = ("model",)


def is_v2(parser: Parser) -> bool:
    """Return whether the front matter is Prompty's own: prompt flow's has ``model.configuration``."""
    model = parser.data.get("model")
    if isinstance(model, str):
        return True
    if not isinstance(model, dict) or "configuration" in model:
        return False
    return bool({"id", "provider", "options", "apiType"} & set(model)) or isinstance(model.get("connection"), dict)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def read_model(parser: Parser, source: Source) -> tuple[Prompty, str | None]:
    """Return the model and the template, and the name of the connection where the file names one.

    Raises:
        FlowError: for an unknown key, type or parameter, with its line.
    """
    made, connection = _v2(parser) if is_v2(parser) else _v1(parser)
    where = parser.where("model")
    for name, value in made["parameters"].items():
        if name in PARAMETERS[made["api"]] and "${" not in str(value):
            parameter(made["api"], name, value, parser.where("model", "parameters", name))
    return Prompty(template=source.template, line=source.line, where=where, **made), connection


def _v1(parser: Parser) -> tuple[dict[str, Any], str | None]:
    fields = parser.mapping(_MODEL, _V1_KEYS)
    keys = (*_MODEL, "configuration")
    given = parser.mapping(keys)
    kind = parser.text(given, keys, "type")
    connection = parser.text(given, keys, "connection") or parser.text(fields, _MODEL, "connection")
    parameters = parser.mapping((*_MODEL, "parameters"))
    configuration = {_ALIASES.get(name, name): value for name, value in given.items() if value is not None}
    for name in ("type", "connection"):
        configuration.pop(name, None)
    model = configuration.pop("model", None) or parameters.get("deployment_name") or parameters.get("model")
    parameters = {name: value for name, value in parameters.items() if name not in {"deployment_name", "model"}}
    type_name = _type(kind, parser.where(*keys, "type")) if kind else ""
    _check_fields(parser, keys, list(given), type_name)
    return {
        "dialect": "v1",
        "api": parser.choice(fields, _MODEL, "api", ("chat", "completion"), "chat"),
        "type": type_name,
        "configuration": {} if connection else configuration,
        "parameters": {**({"model": model} if model else {}), **parameters},
        "response": parser.choice(fields, _MODEL, "response", ("first", "all"), "first"),
    }, connection


def _check_fields(parser: Parser, keys: tuple[Key, ...], given: list[str], kind: str) -> None:
    if not given:
        return
    own = TYPES[kind].fields if kind else {}
    known = [*own, *_ALIASES, "type", "connection", "model"]
    for name in given:
        if name not in known and kind:
            raise FlowError(
                f"a model of the type {kind} has no '{name}'",
                where=parser.where(*keys, name),
                expected=nearest_hint(name, known),
            )
    if not kind and "connection" not in given:
        raise FlowError(
            "the configuration says no type", where=parser.where(*keys), expected="type: azure_openai or openai"
        )


def _v2(parser: Parser) -> tuple[dict[str, Any], str | None]:
    if isinstance(parser.data["model"], str):
        return _v2_fields(parser, {"id": parser.data["model"]})
    return _v2_fields(parser, parser.mapping(_MODEL, _V2_KEYS))


def _v2_fields(parser: Parser, fields: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    provider = parser.text(fields, _MODEL, "provider")
    kind = _type(provider, parser.where(*_MODEL, "provider")) if provider else ""
    keys = (*_MODEL, "connection")
    name: str | None = None
    configuration: dict[str, Any] = {}
    if isinstance(fields.get("connection"), dict):
        given = parser.mapping(keys, _V2_CONNECTION)
        how = parser.choice(given, keys, "kind", ("key", "reference", "anonymous"), "key")
        name = parser.text(given, keys, "name") if how == "reference" else None
        if how == "reference" and not name:
            raise FlowError("the connection has no name", where=parser.where(*keys), expected="name: <connection>")
        address = "base_url" if kind == "open_ai" else "api_base"
        renamed = {"endpoint": address, "apiKey": "api_key", "apiVersion": "api_version"}
        configuration = {renamed[key]: value for key, value in given.items() if key in renamed and value is not None}
    elif fields.get("connection") is not None:
        name = parser.text(fields, _MODEL, "connection")
    options = parser.mapping((*_MODEL, "options"))
    more: Any = options.pop("additionalProperties", None)
    parameters = {_OPTIONS.get(key, key): value for key, value in options.items()}
    parameters |= more if isinstance(more, dict) else {}
    model = parser.text(fields, _MODEL, "id")
    api_key = "apiType" if "apiType" in fields else "api"
    return {
        "dialect": "v2",
        "api": _api(parser, fields, api_key),
        "type": "" if name else kind,
        "configuration": {} if name else configuration,
        "parameters": {**({"model": model} if model else {}), **parameters},
    }, name


def _api(parser: Parser, fields: dict[str, Any], key: str) -> Api:
    found: Api = parser.choice(fields, _MODEL, key, ("chat", "completion"), "chat")
    return found


def _type(spelling: str, where: str) -> str:
    """Return our name of the type of model that a prompty names."""
    try:
        kind = connection_type("azure_open_ai" if spelling.lower() in {"azure", "azure-openai"} else spelling, where)
    except ConnectionFault as error:
        raise FlowError(f"there is no model type '{spelling}'", where=where, expected=_serving(spelling)) from error
    if not kind.serves_models:
        raise FlowError(f"no models stand behind the type '{spelling}'", where=where, expected=_serving(spelling))
    return kind.name


def _serving(spelling: str) -> str:
    return nearest_hint(spelling, ["azure_openai", *(kind.name for kind in TYPES.values() if kind.serves_models)])
