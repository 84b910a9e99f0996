"""The types of inputs and outputs, from the source text of annotations."""

from __future__ import annotations

import ast

from msgspec import Struct

from pilothouse.flows.types import Conversion, ValueType

_BY_NAME: dict[str, ValueType] = {
    "int": "int",
    "float": "double",
    "bool": "bool",
    "str": "string",
    "list": "list",
    "List": "list",
    "dict": "object",
    "Dict": "object",
    "Image": "image",
}


class Annotated(Struct, frozen=True):
    """What an annotation says: the type of an input, and whether null may stand in its place."""

    type: ValueType
    conversion: Conversion


FREE = Annotated("object", "none")
"""An annotation that says nothing that values could be brought to."""


def read_annotation(text: str) -> Annotated:
    """Return what an annotation says; ``X | None`` is a nullable ``X``, every other union is free."""
    try:
        expression = ast.parse(text.strip("'\" "), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return FREE
    options = list(_options(expression))
    kept = [item for item in options if not _is_none(item)]
    if len(kept) != 1:
        return FREE
    found = _BY_NAME.get(type_name(kept[0]))
    if found is None:
        return FREE
    return Annotated(found, "strict" if len(kept) == len(options) else "nullable")


def type_name(expression: ast.expr) -> str:
    """Return the last word of a type: ``List`` of ``typing.List[str]``."""
    if isinstance(expression, ast.Subscript):
        expression = expression.value
    return ast.unparse(expression).rpartition(".")[2].strip("'\"")


def class_name(text: str) -> str:
    """Return the last word of the one class that an annotation names; empty for a union of several."""
    try:
        options = list(_options(ast.parse(text.strip("'\" "), mode="eval").body))
    except (SyntaxError, ValueError, RecursionError):
        return ""
    kept = [item for item in options if not _is_none(item)]
    return type_name(kept[0]) if len(kept) == 1 else ""


def _options(expression: ast.expr) -> list[ast.expr]:
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.BitOr):
        return [*_options(expression.left), *_options(expression.right)]
    if isinstance(expression, ast.Subscript):
        name = type_name(expression)
        inner = expression.slice
        if name == "Optional":
            return [*_options(inner), ast.Constant(None)]
        if name == "Union" and isinstance(inner, ast.Tuple):
            return [option for item in inner.elts for option in _options(item)]
    return [expression]


def _is_none(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
