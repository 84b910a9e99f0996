"""The smallest value that fits a JSON schema, chosen by a text: the same text, the same value."""

from __future__ import annotations

import hashlib
from typing import Any, cast

_DEEPEST = 20


def sample(schema: dict[str, Any], text: str) -> Any:
    """Return a value for ``schema``; among several allowed ones the hash of ``text`` decides.

    Required properties are filled, optional ones left out; references inside the schema are followed. A schema that
    refers to itself without end is cut off with None.
    """
    return _value(schema, schema, text, "")


def _value(schema: dict[str, Any], root: dict[str, Any], text: str, path: str) -> Any:
    schema = _followed(schema, root)
    if path.count("/") > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _pick(schema["enum"], text + path)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            chosen = schema[key][0] if key == "allOf" else _pick(schema[key], text + path)
            return _value(chosen, root, text, f"{path}/{key}")
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0]
    if kind == "object":
        properties: dict[str, Any] = schema.get("properties", {})
        wanted: list[str] = schema.get("required", list(properties))
        return {name: _value(properties.get(name, {}), root, text, f"{path}/{name}") for name in wanted}
    if kind == "array":
        item = schema.get("items", {})
        return [_value(item, root, text, f"{path}/{index}") for index in range(schema.get("minItems", 0))]
    return _scalar(schema, kind, text, path)


def _scalar(schema: dict[str, Any], kind: str, text: str, path: str) -> Any:
    if kind == "boolean":
        return _number(text + path) % 2 == 0
    if kind in {"integer", "number"}:
        return schema.get("minimum", 0)
    if kind == "null":
        return None
    return text[: schema.get("maxLength", 80)].ljust(schema.get("minLength", 0), ".")


def _followed(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    found = schema
    for _ in range(_DEEPEST):
        reference = found.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return found
        found = root
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step, {})
    return {}


def _pick(choices: list[Any], text: str) -> Any:
    return choices[_number(text) % len(choices)]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
