"""References: whole strings of the form ``${...}``, and the values they lead to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.types import InputValue, LiteralValue, Reference, Step

INPUT_PREFIXES = ("inputs.", "flow.")
SECTION = "output"

_STEP = re.compile(r"\.(?P<word>\w+)|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]|\[(?P<index>\d+)\]")
_PORT = re.compile(r"(?P<section>[^.\[]*)(?P<path>.*)", re.DOTALL)


def parse_value(value: Any, where: str) -> InputValue:
    """Return the reference that ``value`` is, or the literal.

    Raises:
        FlowError: for a reference whose section or property path cannot be read.
    """
    if isinstance(value, str) and len(value) > 2 and value.startswith("${") and value.endswith("}"):
        return parse_reference(value, where)
    return LiteralValue(value=value, where=where)


def parse_reference(text: str, where: str) -> Reference:
    """Read ``${inputs.x}``, ``${flow.x}``, ``${node}``, ``${node.output}`` or ``${node.output.a['b'][0]}``.

    Raises:
        FlowError: for blanks, another section than ``output``, or a path of other steps.
    """
    body = text[2:-1]
    if body != body.strip():
        raise FlowError(f"'{text}' has blanks inside its braces", where=where, expected=f"${{{body.strip()}}}")
    for prefix in INPUT_PREFIXES:
        if body.startswith(prefix):
            return Reference(source="input", name=body.removeprefix(prefix), text=text, where=where)
    name, dot, port = body.partition(".")
    if not dot:
        return Reference(source="node", name=name, text=text, where=where)
    match = _PORT.fullmatch(port)
    section, path = (match["section"], match["path"]) if match else (port, "")
    if section != SECTION:
        raise FlowError(
            f"'{text}' asks for the section '{section}' of node '{name}'",
            where=where,
            expected=f"${{{name}.output}}: a node has no other section",
        )
    return Reference(source="node", name=name, path=_steps(text, path, where), text=text, where=where)


def _steps(text: str, path: str, where: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise FlowError(
                f"the path '{path[position:]}' in '{text}' cannot be read",
                where=where,
                expected="steps of the form .word, ['key'] or [0]",
                fix="write a key that is not a word as ['my-key']",
            )
        if match["word"] is not None:
            steps.append(Step("word", match["word"]))
        elif match["key"] is not None:
            steps.append(Step("key", match["key"]))
        else:
            steps.append(Step("index", int(match["index"])))
        position = match.end()
    return tuple(steps)


def looks_mistaken(value: Any) -> bool:
    """Return whether a literal was likely meant as a reference: an open ``${``, or one inside other text."""
    return isinstance(value, str) and any(f"${{{prefix}" in value for prefix in INPUT_PREFIXES)


def follow(value: Any, reference: Reference) -> Any:
    """Return what the path of ``reference`` leads to inside a node's output.

    Raises:
        FlowError: when a step leads nowhere; it names the step and what there was instead.
    """
    for step in reference.path:
        try:
            value = _take(value, step)
        except Exception as error:
            # Not only a missing key: a property of the user's own class may raise anything.
            raise FlowError(
                f"'{reference.text}': the output of '{reference.name}' has no {_spell(step)} here",
                where=reference.where or None,
                expected=_offer(value, step),
            ) from error
    return value


def _take(value: Any, step: Step) -> Any:
    if step.kind == "word" and not isinstance(value, dict):
        return getattr(value, str(step.value))
    return cast("Any", value)[step.value]


def _spell(step: Step) -> str:
    return {"word": f"'{step.value}'", "key": f"['{step.value}']", "index": f"[{step.value}]"}[step.kind]


def _offer(value: Any, step: Step) -> str:
    if isinstance(value, Mapping):
        return nearest_hint(str(step.value), [str(key) for key in cast("Mapping[object, Any]", value)])
    if isinstance(value, list | tuple):
        return f"a list of {len(cast('list[Any]', value))} items"
    return f"a value of type {type(value).__name__}"
