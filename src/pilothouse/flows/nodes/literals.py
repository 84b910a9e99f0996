"""Values brought to their declared types: flow inputs, and literals of a node to the annotations of its tool."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable
from enum import EnumMeta
from typing import Any, Literal, cast

from pilothouse.flows.prompts.images import Image

Kind = Literal["int", "double", "bool", "string", "list", "object", "image", "other"]

_BY_TYPE: dict[Any, Kind] = {int: "int", float: "double", bool: "bool", str: "string", list: "list", Image: "image"}
_BY_TEXT: dict[str, Kind] = {"int": "int", "float": "double", "bool": "bool", "str": "string", "list": "list"}
# Subclasses of str in prompt flow: their values are left as they are.
_UNTOUCHED = {"Secret", "PromptTemplate", "FilePath", "AssistantDefinition"}


def to_int(value: Any) -> int:
    """Return a whole number; a fraction is refused, never cut off."""
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("a fraction is not a whole number")
    return int(value)


def to_double(value: Any) -> float:
    """Return a number."""
    return float(value)


def to_bool(value: Any) -> bool:
    """Return a truth value: a bool, or the words true and false in any case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ValueError("neither true nor false")


def to_string(value: Any) -> str | None:
    """Return text; null stays null."""
    return value if value is None or isinstance(value, str) else str(value)


def to_list(value: Any) -> list[Any]:
    """Return a list, or the list that the text is the JSON of."""
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        raise TypeError(f"a {type(parsed).__name__} is not a list")
    return cast("list[Any]", parsed)


def to_object(value: Any) -> Any:
    """Return the value, or what the text is the JSON of; other text stays text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int": to_int,
    "double": to_double,
    "bool": to_bool,
    "string": to_string,
    "list": to_list,
    "object": to_object,
}
"""By kind or declared type; a type that is missing here takes values as they are."""


def kind_of(annotation: Any, default: Any = inspect.Parameter.empty) -> Kind:
    """Return the kind that literals of a parameter are brought to.

    ``X | None`` counts as ``X``, another union as an object, an enumeration as text; a parameter without annotation
    takes the type of its default, and is an object without one.
    """
    if annotation is inspect.Parameter.empty:
        if default is inspect.Parameter.empty or default is None:
            return "object"
        annotation = cast("Any", type(default))
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        options = [item for item in typing.get_args(annotation) if item is not type(None)]
        return kind_of(options[0]) if len(options) == 1 else "object"
    if isinstance(annotation, EnumMeta):
        return "string"
    if getattr(annotation, "__name__", "") in _UNTOUCHED:
        return "other"
    return _BY_TYPE.get(annotation, "object") if _is_hashable(annotation) else "object"


def kind_of_text(annotation: str) -> Kind | None:
    """Return the kind that the source text of an annotation certainly means, or None."""
    text = annotation.strip("'\" ")
    options = [part.strip() for part in text.split("|") if part.strip() != "None"]
    if len(options) == 1:
        text = options[0].removeprefix("typing.")
        if text.startswith("Optional[") and text.endswith("]"):
            text = text.removeprefix("Optional[").removesuffix("]")
    return _BY_TEXT.get(text)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
