"""The model that a prompty names, from the front matter of either dialect."""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import ConnectionFault, FlowError, nearest_hint, suggest
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS, parameter
from pilothouse.flows.types import Api
from pilothouse.models.connection_types import TYPES, connection_type

_V1_KEYS = ("api", "configuration", "parameters", "response", "connection", "name")
_V1_MARKS = ("configuration", "parameters", "response")
_V2_MARKS = ("id", "provider", "options", "apiType")
_V2_KEYS = ("id", "provider", "apiType", "api", "connection", "options")
_V2_CONNECTION = (
    *("kind", "name", "target", "endpoint", "apiKey", "apiVersion", "authenticationMode", "usageDescription"),
    *("clientId", "clientSecret", "tokenUrl", "scopes", "connectionType"),
)
_ALIASES = {"azure_endpoint": "api_base", "azure_deployment": "model", "deployment_name": "model"}
_OPTIONS = {
    "temperature": "temperature",
    "seed": "seed",
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort",
    "allowMultipleToolCalls": "parallel_tool_calls",
}
_PROVIDERS = {"azure": "azure_open_ai", "foundry": "azure_open_ai"}
_MODEL: tuple[Key, ...] = ("model",)


class Model(Struct, frozen=True, kw_only=True):
    """What the front matter says of the model.

    Attributes:
        is_v2: Whether it is written in Prompty 2.
        api: Chat or completion.
        type: Type of the connection that the file itself describes; empty where it does not.
        configuration: Fields of that connection, by our names.
        parameters: What is sent beside the prompt, ``model`` included.
        response: ``first`` or ``all``.
        connection: The connection of the project that it names.
        where: ``file:line``.
        notes: What is likely mistaken.
    """

    is_v2: bool
    api: Api
    type: str
    configuration: dict[str, Any]
    parameters: dict[str, Any]
    response: Any = "first"
    connection: str | None = None
    where: str
    notes: tuple[str, ...] = ()


def is_v2(parser: Parser) -> bool:
    """Return whether the front matter is Prompty's own: prompt flow's has ``model.configuration``."""
    model: Any = parser.data.get("model")
    if not isinstance(model, dict):
        return model is not None or isinstance(parser.data.get("inputs"), list) or bool(parser.data.get("tools"))
    fields = cast("dict[str, Any]", model)
    if any(key in fields for key in _V1_MARKS):
        return False
    return any(key in fields for key in _V2_MARKS) or isinstance(fields.get("connection"), dict)


def read_model(parser: Parser) -> Model:
    """Return the model.

    Raises:
        FlowError: for an unknown key, type or parameter, with its line.
    """
    model = _v2(parser) if is_v2(parser) else _v1(parser)
    section = "options" if model.is_v2 else "parameters"
    for name, value in model.parameters.items():
        if name in PARAMETERS[model.api] and "${" not in str(value):
            parameter(model.api, name, value, _place(parser, section, name))
    return model


def _place(parser: Parser, section: str, name: str) -> str:
    """Return where a parameter stands, whichever of its names the file uses."""
    names = [key for key, ours in _OPTIONS.items() if ours == name and key in parser.mapping((*_MODEL, section))]
    return parser.where(*_MODEL, section, *(names or [name])[:1])


def _unknown(parser: Parser, section: str, api: Api, names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    known = (*known, *PARAMETERS[api], *MODEL_NAMES)
    return tuple(
        f"{parser.where(*_MODEL, section, name)}: '{name}' is sent to the model as it is: {nearest_hint(name, known)}"
        for name in names
        if name not in known and suggest(name, known)
    )


# Prompt flow's dialect


def _v1(parser: Parser) -> Model:
    fields = parser.mapping(_MODEL, _V1_KEYS)
    keys = (*_MODEL, "configuration")
    given = parser.mapping(keys)
    kind = parser.text(given, keys, "type")
    connection = parser.text(given, keys, "connection") or parser.text(fields, _MODEL, "connection")
    parameters = parser.mapping((*_MODEL, "parameters"))
    configuration = {_ALIASES.get(name, name): value for name, value in given.items() if _is_given(value)}
    for name in ("type", "connection"):
        configuration.pop(name, None)
    model = configuration.pop("model", None) or parameters.get("deployment_name") or parameters.get("model")
    parameters = {name: value for name, value in parameters.items() if name not in MODEL_NAMES}
    type_name = _type(kind, parser.where(*keys, "type")) if kind else ""
    _check_fields(parser, keys, list(given), type_name)
    if connection and configuration:
        name = next(name for name in given if _ALIASES.get(name, name) in configuration)
        raise FlowError(
            f"the configuration names the connection '{connection}' and gives '{name}' of another",
            where=parser.where(*keys, name),
            fix=f"keep the connection and the model, or remove `connection: {connection}`",
        )
    api: Api = parser.choice(fields, _MODEL, "api", ("chat", "completion"), "chat")
    return Model(
        is_v2=False,
        api=api,
        type=type_name,
        configuration=configuration,
        parameters={**({"model": model} if model else {}), **parameters},
        response=parser.choice(fields, _MODEL, "response", ("first", "all"), "first"),
        connection=connection,
        where=parser.where("model"),
        notes=(
            *_unknown(parser, "parameters", api, list(parameters), ()),
            *_secret_notes(parser, keys, type_name, given),
        ),
    )


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


# Prompty 2


def _v2(parser: Parser) -> Model:
    said: Any = parser.data.get("model")
    fields = {"id": said} if isinstance(said, str) else parser.mapping(_MODEL, _V2_KEYS)
    api_key = "apiType" if "apiType" in fields else "api"
    api = _api(parser, fields, api_key)
    name, configuration, notes = _v2_connection(parser, fields)
    options = parser.mapping((*_MODEL, "options")) if not isinstance(said, str) else {}
    more = parser.mapping((*_MODEL, "options", "additionalProperties")) if options else {}
    options.pop("additionalProperties", None)
    model = parser.text(fields, _MODEL, "id")
    kind = "" if name else _provider(parser, fields)
    if configuration and not name and not kind:
        raise FlowError(
            "the model has a connection, but no provider",
            where=parser.where(*_MODEL, "connection"),
            expected="provider: openai or azure",
        )
    return Model(
        is_v2=True,
        api=api,
        type=kind,
        configuration={} if name else _renamed(configuration, kind),
        parameters={
            **({"model": model} if model else {}),
            **{_OPTIONS.get(key, key): value for key, value in options.items()},
            **more,
        },
        connection=name,
        where=parser.where("model"),
        notes=(*notes, *_unknown(parser, "options", api, list(options), tuple(_OPTIONS))),
    )


def _v2_connection(parser: Parser, fields: dict[str, Any]) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
    """Return the name of a connection of the project, or the fields of one that the file describes; and notes."""
    if not isinstance(fields.get("connection"), dict):
        return parser.text(fields, _MODEL, "connection"), {}, ()
    keys = (*_MODEL, "connection")
    given = parser.mapping(keys, _V2_CONNECTION)
    kinds = ("key", "reference", "anonymous", "remote", "oauth", "foundry")
    how = parser.choice(given, keys, "kind", kinds, "key")
    if how in {"oauth", "foundry"}:
        raise FlowError(
            f"a connection of the kind {how} signs in by itself, which is not done here",
            where=parser.where(*keys, "kind"),
            fix="write connections/<name>.yaml with auth_mode: meid_token and its token, and refer to it: "
            "connection: {kind: reference, name: <name>}",
        )
    fields = {key: value for key, value in given.items() if _is_given(value)}
    if how in {"reference", "remote"}:
        name = parser.text(given, keys, "name")
        if not name:
            raise FlowError("the connection has no name", where=parser.where(*keys), expected="name: <connection>")
        ignored = [key for key in ("endpoint", "apiKey", "target", "authenticationMode") if key in fields]
        return (
            name,
            {},
            tuple(
                f"{parser.where(*keys, key)}: '{key}' is that of the connection '{name}', not this one"
                for key in ignored
            ),
        )
    if how == "anonymous" and "apiKey" in fields:
        raise FlowError(
            "an anonymous connection has no key", where=parser.where(*keys, "apiKey"), fix="write kind: key"
        )
    notes = [
        f"{parser.where(*keys, key)}: '{key}' means nothing for a connection of the kind {how}"
        for key in fields
        if key not in {"kind", "endpoint", "apiKey", "apiVersion", "usageDescription"}
    ]
    known = {key: value for key, value in fields.items() if key in {"endpoint", "apiKey", "apiVersion"}}
    return None, known, (*notes, *_secret_notes(parser, keys, "", fields))


def _renamed(configuration: dict[str, Any], kind: str) -> dict[str, Any]:
    address = "base_url" if kind == "open_ai" else "api_base"
    names = {"endpoint": address, "apiKey": "api_key", "apiVersion": "api_version"}
    return {names[key]: value for key, value in configuration.items()}


def _provider(parser: Parser, fields: dict[str, Any]) -> str:
    provider = parser.text(fields, _MODEL, "provider")
    if not provider:
        return ""
    where = parser.where(*_MODEL, "provider")
    if provider.lower() == "anthropic":
        raise FlowError(
            "the provider anthropic is reached only through a server that speaks OpenAI's dialect",
            where=where,
            fix="write connections/<name>.yaml of the type open_ai with its base_url, and refer to it: "
            "connection: {kind: reference, name: <name>}",
        )
    return _type(_PROVIDERS.get(provider.lower(), provider), where)


def _api(parser: Parser, fields: dict[str, Any], key: str) -> Api:
    if fields.get(key) in {"embedding", "image", "responses"}:
        fix = "write apiType: chat" if fields[key] == "responses" else "call the model from a Python tool of a flow"
        raise FlowError(
            f"the {key} '{fields[key]}' is not run here",
            where=parser.where(*_MODEL, key),
            expected="chat, completion",
            fix=fix,
        )
    found: Api = parser.choice(fields, _MODEL, key, ("chat", "completion"), "chat")
    return found


# Both


def _is_given(value: Any) -> bool:
    # Whoever writes `api_key: ` wants it to be found elsewhere.
    return value is not None and value != ""


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


def _secret_notes(parser: Parser, keys: tuple[Key, ...], kind: str, given: dict[str, Any]) -> tuple[str, ...]:
    own = TYPES[kind].fields if kind else {}
    secret = ["apiKey", "api_key", *(name for name, rule in own.items() if rule.secret)]
    return tuple(
        f"{parser.where(*keys, name)}: the {name} stands in the clear: write ${{env:NAME}}, and replace the key"
        for name, value in given.items()
        if name in secret and isinstance(value, str) and value and "${" not in value
    )
