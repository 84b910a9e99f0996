"""What a reader of a prompty should know: keys that mean nothing, and what is likely mistaken in its template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import FlowError, nearest_hint, suggest
from pilothouse.flows.dag.document import Parser
from pilothouse.flows.prompts.shield import ROLES as V1_ROLES
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.answers import expects_json
from pilothouse.flows.prompty.messages import MARKER, Prompt, attributes
from pilothouse.flows.prompty.messages import ROLES as V2_ROLES
from pilothouse.flows.prompty.models import Model
from pilothouse.flows.types import Prompty

_KEYS = (
    *("name", "displayName", "display_name", "description", "authors", "tags", "version", "metadata"),
    *("model", "inputs", "inputSchema", "outputs", "outputSchema", "sample", "template", "tools", "environment"),
    *("$schema", "kind"),
)
_REFERENCE = re.compile(r"\$\{(?:env|file):[^}]*\}")
_ALONE = re.compile(r"\s*#?\s*(?P<word>[A-Za-z]{3,12})(?:\[.*\])?\s*:\s*")
_COMPUTED = re.compile(r"\s*\{\{[^{}]+\}\}\s*:\s*")
_TAG = re.compile(r"\{[{%#]")
_FIRST = re.compile(rf"\s*#?\s*(?:{'|'.join(V1_ROLES)})\s*:\s*(?:\n|\Z)", re.IGNORECASE)


def key_notes(
    parser: Parser, model: Model, prompty: Prompty, sample: Iterable[str], inputs: Mapping[str, Any]
) -> Iterator[str]:
    """Tell of keys, outputs and samples that have no effect."""
    for key in parser.data:
        if key not in _KEYS:
            near = f": {nearest_hint(key, _KEYS)}" if suggest(key, _KEYS) else ""
            yield f"{parser.where(key)}: the key '{key}' means nothing here{near}"
    if not prompty.structured and not expects_json(model.parameters) and model.response == "first":
        for key in ("outputs", "outputSchema"):
            if parser.data.get(key):
                yield f"{parser.where(key)}: without response_format json_object the output is the text, under 'output'"
    for key in sample:
        if key not in inputs:
            yield f"{parser.where('sample', key)}: the sample gives '{key}', which is no input"
    for keys in _embedded(parser.data, ()):
        yield f"{parser.where(*keys)}: a reference stands for a whole value: this one stays as it is written"


def _embedded(value: Any, keys: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _embedded(item, (*keys, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _embedded(item, (*keys, index))
    elif isinstance(value, str) and _REFERENCE.search(value) and not _REFERENCE.fullmatch(value.strip()):
        yield keys


def template_notes(prompty: Prompty, inputs: Iterable[str], file: Path) -> Iterator[str]:
    """Tell of variables that nothing gives and of lines that look like roles and are none.

    Raises:
        FlowError: when the template cannot be read, or cannot become messages, with its line.
    """
    names = list(inputs)
    if prompty.dialect == "v2":
        template = Prompt(prompty, file).template
    else:
        template = Template(prompty.template, file, skipped=prompty.line)
        if prompty.api == "chat":
            _refuse_beginning(prompty, file)
    for name in template.variables:
        if name not in names:
            near = f" ({nearest_hint(name, names)})" if suggest(name, names) else ""
            yield f"{file}: nothing gives '{name}' in the template: it will be empty{near}"
    if prompty.api == "chat":
        yield from _role_notes(prompty, file)


def _role_notes(prompty: Prompty, file: Path) -> Iterator[str]:
    roles = V2_ROLES if prompty.dialect == "v2" else V1_ROLES
    for number, line in enumerate(prompty.template.split("\n"), prompty.line + 1):
        found = MARKER.fullmatch(line) if prompty.dialect == "v2" else None
        if found:
            for name in attributes(found["said"] or ""):
                if name != "name":
                    yield f"{file}:{number}: the attribute '{name}' of a role means nothing here"
            continue
        match = _ALONE.fullmatch(line)
        if match and match["word"].lower() not in roles:
            near = suggest(match["word"].lower(), (*V1_ROLES, *V2_ROLES))
            if near in roles:
                yield f"{file}:{number}: '{line.strip()}' is text: did you mean '{near}:'?"
            elif near:
                yield f"{file}:{number}: '{line.strip()}' is text: the roles here are {', '.join(roles)}"
        elif prompty.dialect == "v2" and prompty.guarded and _COMPUTED.fullmatch(line):
            yield (
                f"{file}:{number}: a role that the template computes begins no message: "
                "take an input of the kind thread, or say strict: false"
            )


def _refuse_beginning(prompty: Prompty, file: Path) -> None:
    """Refuse a chat of prompt flow's that begins with text: no values could make messages of it."""
    tag = _TAG.search(prompty.template)
    head = prompty.template[: tag.start()] if tag else prompty.template
    if not head.strip() or _FIRST.match(head):
        return
    text = head.lstrip()
    line = prompty.line + 1 + head[: len(head) - len(text)].count("\n")
    first = text.split("\n")[0]
    match = _ALONE.fullmatch(first)
    near = suggest(match["word"].lower(), V1_ROLES) if match else None
    if tag and "\n" not in text:
        return
    raise FlowError(
        f"a chat prompt begins with a role, but this one begins with '{first[:60]}'",
        where=f"{file}:{line}",
        expected=f"did you mean '{near}:'?" if near else "a line of its own: system:, user:, assistant:",
        fix="put a role above the text, or set `api: completion`",
    )
