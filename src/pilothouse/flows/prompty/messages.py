"""Prompts of Prompty 2: a template rendered and cut into messages.

Only the file itself may begin a message. So before it is rendered, its role markers get a token that nobody can guess
in their place, and the rendered text is cut at the tokens: what looks like a marker inside of an input stays text.
Inputs that stand for more than text are rendered as such tokens too, and become messages or parts of a message.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import FlowError
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.mustache import Mustache
from pilothouse.flows.prompty.parts import media_part, thread_messages
from pilothouse.flows.types import Prompty
from pilothouse.models.types import Message, Part, Role, TextPart

ROLES = ("system", "user", "assistant", "developer")
_ATTRIBUTES = r"\[\s*+(?:\w++\s*+=\s*+(?:\"[^\"\n]*+\"|[^\",\]\n]*+)\s*+,?+\s*+)++\]"
MARKER = re.compile(
    rf"(?im)^[^\S\n]*+#?[^\S\n]*+(?P<role>{'|'.join(ROLES)})(?P<said>{_ATTRIBUTES})?[^\S\n]*+:[^\S\n]*+$"
)
_ATTRIBUTE = re.compile(r'(?P<key>\w+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^",\]]*))')


class _Thread(list[Any]):
    """A conversation that prints as its token; a template may also go through its messages."""

    def __init__(self, items: list[Any], token: str) -> None:
        super().__init__(items)
        self._token = token

    def __str__(self) -> str:
        return self._token


class Prompt:
    """Makes the messages of a prompty of Prompty 2.

    Args:
        prompty: The prompty.
        path: Its file.
        sandbox: Whether templates are kept from the machine.

    Raises:
        FlowError: when the template cannot be read, with its line.
    """

    def __init__(self, prompty: Prompty, path: Path, *, sandbox: bool = True) -> None:
        self._path = path
        self._token = secrets.token_hex(16)
        token = self._token
        guarded = prompty.guarded and prompty.api == "chat"
        text = MARKER.sub(rf"{token}:\g<role>\g<said>{token}", prompty.template) if guarded else prompty.template
        self._marker = re.compile(rf"{token}:(?P<role>\w+)(?P<said>\[.*?\])?{token}", re.DOTALL) if guarded else MARKER
        self._rich = re.compile(rf"{token}#(?P<number>\d+){token}")
        self.template: Template | Mustache
        if prompty.format == "mustache":
            self.template = Mustache(text, path, skipped=prompty.line)
        else:
            self.template = Template(text, path, sandbox=sandbox, skipped=prompty.line, trim_blocks=False)
        self._kinds = {**dict.fromkeys(self.template.images, "image"), **prompty.kinds}
        self._names = list(self._kinds)

    def text(self, inputs: Mapping[str, Any]) -> str:
        """Return the text of a completion."""
        return self.template.render(inputs)[self.template.skipped :]

    def messages(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """Return the messages of a chat.

        Raises:
            FlowError: when there are none, or the template cannot be rendered.
            DataError: when an input is no conversation, image, file or sound.
        """
        text = self.template.render({**inputs, **dict(self._placeholders(inputs))})[self.template.skipped :]
        found = [
            message for role, said, chunk in self._chunks(text) for message in self._cut(role, said, chunk, inputs)
        ]
        for name, kind in self._kinds.items():
            # A conversation that the template does not mention stands at the end.
            if kind == "thread" and name not in self.template.variables:
                found += thread_messages(inputs.get(name), name, self._path.parent)
        if not found:
            raise FlowError("the prompt is empty", where=str(self._path), expected="at least one role and its text")
        return tuple(found)

    def _placeholders(self, inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for number, name in enumerate(self._names):
            value = inputs.get(name)
            token = f"{self._token}#{number}{self._token}"
            if value is None or value == "":
                yield name, ""
            else:
                yield name, _Thread(cast("list[Any]", value), token) if isinstance(value, list) else token

    def _chunks(self, text: str) -> Iterator[tuple[str, str, str]]:
        """Cut the text at its markers: role, attributes, text. What stands before the first one is of the system."""
        role, said, start = "system", "", 0
        for match in self._marker.finditer(text):
            if start or text[: match.start()].strip():
                yield role, said, text[start : match.start()]
            role, said, start = match["role"].lower(), match["said"] or "", match.end()
        if start or text.strip():
            yield role, said, text[start:]

    def _cut(self, role: str, said: str, chunk: str, inputs: Mapping[str, Any]) -> Iterator[Message]:
        name = attributes(said).get("name")
        pieces = self._rich.split(chunk)
        if len(pieces) == 1:
            # A marker without even an empty line behind it makes no message.
            if chunk not in {"", "\n"}:
                yield Message(role=cast("Role", role), content=chunk.strip("\n"), name=name)
            return
        parts: list[Part] = []
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                parts += [TextPart(text=piece.strip())] if piece.strip() else []
                continue
            key = self._names[int(piece)]
            if self._kinds[key] != "thread":
                parts.append(media_part(self._kinds[key], inputs[key], key, self._path.parent))
                continue
            yield from _message(role, name, parts)
            parts = []
            yield from thread_messages(inputs[key], key, self._path.parent)
        yield from _message(role, name, parts)


def _message(role: str, name: str | None, parts: list[Part]) -> Iterator[Message]:
    if not parts:
        return
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    content = "\n".join(texts) if len(texts) == len(parts) else tuple(parts)
    yield Message(role=cast("Role", role), content=content, name=name)


def attributes(said: str) -> dict[str, str]:
    """Return the attributes of a role marker, such as ``[name="Ada"]``."""
    found = _ATTRIBUTE.finditer(said.strip("[]"))
    return {match["key"]: (match["quoted"] or match["bare"] or "").strip() for match in found}
