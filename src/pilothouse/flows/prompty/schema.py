"""What a prompty declares of its inputs, its outputs and the arguments of its tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.types import VALUE_TYPES, FlowInput

Keys = tuple[Key, ...]

_PORT_KEYS = (
    *("type", "kind", "default", "description", "sample", "example", "required", "is_required", "enum", "strict"),
    *("is_chat_input", "is_chat_history", "name", "items", "json_schema", "allowUnknown", "enumValues"),
    *("nullable", "properties", "anyOf", "oneOf"),
)
_TYPES = {
    "number": "double",
    "float": "double",
    "integer": "int",
    "boolean": "bool",
    "array": "list",
    "dict": "object",
    "text": "string",
    "str": "string",
    "thread": "list",
}
RICH = ("thread", "image", "file", "audio")
"""Kinds that stand for more than text: messages, or a part of a message."""
_FREE = ("any", "union", "file", "audio")
_JSON_TYPES = {"int": "integer", "double": "number", "bool": "boolean", "list": "array", "object": "object"}


class Port(Struct, frozen=True, kw_only=True):
    """One declared input, output or argument.

    Attributes:
        name: Its name.
        keys: Where it stands.
        fields: What is said of it.
        type: What values are brought to; `object` where they stay as they are.
        kind: The word of the file for it; empty where there is none.
    """

    name: str
    keys: Keys
    fields: dict[str, Any]
    type: Any = "object"
    kind: str = ""

    @property
    def is_free(self) -> bool:
        """Whether nothing is said of its values."""
        return not self.kind or self.kind in _FREE


def ports(parser: Parser, keys: Keys, *, shorthand: bool = False) -> Iterator[Port]:
    """Return what is declared at ``keys``: a mapping by name, a list of entries with names, or either in `properties`.

    Args:
        parser: The front matter.
        keys: Where to look.
        shorthand: Whether ``name: Ada`` declares a text with that default, as Prompty 2 has it.

    Raises:
        FlowError: for an entry without a name, an unknown key or kind, or a value in place of a declaration.
    """
    given: Any = parser.at(keys)
    if isinstance(given, dict) and isinstance(cast("dict[str, Any]", given).get("properties"), dict | list):
        keys = (*keys, "properties")
        given = parser.at(keys)
    if isinstance(given, list):
        for index in range(len(cast("list[Any]", given))):
            fields = parser.mapping((*keys, index), _PORT_KEYS)
            name = parser.text(fields, (*keys, index), "name")
            if not name:
                raise FlowError(f"an entry of {keys[0]} has no name", where=parser.where(*keys, index))
            yield _port(parser, name, (*keys, index), fields)
        return
    for name, item in parser.mapping(keys).items():
        place = (*keys, name)
        if shorthand and isinstance(item, str | bool | int | float | list):
            yield _port(parser, name, place, {"kind": _kind_of(cast("object", item)), "default": item})
        elif item is not None and not isinstance(item, dict):
            raise FlowError(
                f"'{name}' is declared by a value",
                where=parser.where(*place),
                expected=f"{name}: {{type: string, default: {item}}}",
            )
        else:
            yield _port(parser, name, place, parser.mapping(place, _PORT_KEYS))


def _port(parser: Parser, name: str, keys: Keys, fields: dict[str, Any]) -> Port:
    key = "type" if "type" in fields else "kind"
    word = str(fields[key]).lower() if fields.get(key) is not None else ""
    kind: Any = "object"
    if word and word not in _FREE:
        kind = parser.choice({key: _TYPES.get(word, word)}, keys, key, (*VALUE_TYPES, *_TYPES, *_FREE), "object")
    return Port(name=name, keys=keys, fields=fields, type=kind, kind=word)


def _kind_of(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", float: "float", list: "array", dict: "object"}
    return next((kind for known, kind in kinds.items() if isinstance(value, known)), "string")


def sampled_input(name: str, value: object, where: str) -> FlowInput:
    """Return the input that a value of the sample stands for where no inputs are declared."""
    kind = _kind_of(value)
    return FlowInput(name=name, type=cast("Any", _TYPES.get(kind, kind)), where=where)


def flow_input(parser: Parser, port: Port, *, optional: bool) -> FlowInput:
    """Return an input of the flow.

    Args:
        parser: The front matter.
        port: The declaration.
        optional: Whether an input that is neither given nor required is left out, as Prompty 2 has it, and not null.
    """
    fields, keys = port.fields, port.keys
    required = fields.get("required", fields.get("is_required"))
    is_given = "default" in fields
    # An input that is said not to be required does not wait for a column of its name, like one with a default.
    has_default = is_given or required is False
    is_nullable = fields.get("nullable") is True or (has_default and fields.get("default") is None)
    enum: Any = fields.get("enum") or fields.get("enumValues") or []
    if not isinstance(enum, list):
        raise FlowError(
            f"the values allowed for '{port.name}' are no list", where=parser.where(*keys), expected="[a, b]"
        )
    return FlowInput(
        name=port.name,
        type=port.type,
        conversion="none" if port.is_free else "nullable" if is_nullable else "strict",
        default=fields.get("default"),
        has_default=has_default,
        default_in_code=optional and not is_given and required is not True,
        description=parser.text(fields, keys, "description") or "",
        enum=tuple(cast("list[Any]", enum)),
        is_chat_input=parser.flag(fields, keys, "is_chat_input"),
        is_chat_history=parser.flag(fields, keys, "is_chat_history") or port.kind == "thread",
        where=parser.where(*keys),
    )


def json_schema(parser: Parser, found: Iterator[Port] | list[Port], *, strict: bool) -> dict[str, Any]:
    """Return the JSON schema of an object with the given entries.

    Args:
        parser: The front matter.
        found: The entries.
        strict: Whether every entry is demanded and no other allowed, as providers want it who promise to keep to a
            schema; what is not required may then be null.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    for port in found:
        is_required = port.fields.get("required", port.fields.get("is_required")) is True
        properties[port.name] = _value_schema(parser, port, strict=strict, nullable=strict and not is_required)
        if strict or is_required:
            required.append(port.name)
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if strict:
        schema["additionalProperties"] = False
    return schema


def _value_schema(parser: Parser, port: Port, *, strict: bool, nullable: bool = False) -> dict[str, Any]:
    fields, keys = port.fields, port.keys
    if isinstance(fields.get("json_schema"), dict):
        return dict(fields["json_schema"])
    if port.kind in RICH and port.kind != "image":
        raise FlowError(
            f"'{port.name}' is of the kind {port.kind}, which a model cannot write",
            where=parser.where(*keys),
            expected="string, integer, float, boolean, array or object",
        )
    schema: dict[str, Any] = {} if port.is_free else {"type": _JSON_TYPES.get(port.type, "string")}
    if port.type == "object" and not port.is_free:
        inner = list(ports(parser, (*keys, "properties"))) if fields.get("properties") else []
        schema = json_schema(parser, inner, strict=strict)
        schema["additionalProperties"] = False
    elif port.type == "list":
        schema["items"] = _items(parser, (*keys, "items"), strict=strict)
    branches: Any = fields.get("anyOf") or fields.get("oneOf")
    if isinstance(branches, list):
        key = "anyOf" if fields.get("anyOf") else "oneOf"
        places = [(*keys, key, index) for index in range(len(cast("list[Any]", branches)))]
        found = [_port(parser, port.name, place, parser.mapping(place, _PORT_KEYS)) for place in places]
        schema["anyOf"] = [_value_schema(parser, item, strict=strict) for item in found]
    if fields.get("description"):
        schema["description"] = str(fields["description"])
    enum: Any = fields.get("enum") or fields.get("enumValues")
    if isinstance(enum, list):
        schema["enum"] = list(cast("list[Any]", enum))
    return _nullable(schema) if nullable or fields.get("nullable") is True else schema


def _items(parser: Parser, keys: Keys, *, strict: bool) -> dict[str, Any]:
    given: Any = parser.at(keys)
    if given is None:
        return {"type": "string"}
    fields = {"kind": given} if isinstance(given, str) else parser.mapping(keys, _PORT_KEYS)
    return _value_schema(parser, _port(parser, "items", keys, fields), strict=strict)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "type" not in schema:
        return schema
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}
