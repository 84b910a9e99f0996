"""What the mock says, before any dialect: words that number themselves, tool calls and JSON made from their schemas.

An answer follows from the messages alone (and the behaviour): the same request is answered alike, through a gateway or
not. Its text is `8e5f00a1 1 2 3 ...`: a digest of the messages, then each token's number.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from .behaviour import Behaviour
from .bill import Used

CREATED = 1_767_225_600
NOTHING = Raw(b"")
PIECE = 4  # characters of JSON in one frame


class Asked(Struct, kw_only=True):
    """The fields of a request that the mock reads; long ones stay bytes."""

    model: str = ""
    messages: Raw = NOTHING
    system: Raw = NOTHING
    prompt: Raw = NOTHING
    input: Raw = NOTHING
    documents: Raw = NOTHING
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    n: Annotated[int, Meta(le=128)] | None = None
    top_n: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | str | None = None
    output_config: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    dimensions: Annotated[int, Meta(le=8192)] | None = None
    encoding_format: str | None = None
    user: str | None = None

    @property
    def words(self) -> bytes:
        """What a model would read, as it was sent."""
        return b"".join(bytes(part) for part in (self.system, self.messages, self.prompt, self.input, self.documents))


class Call(Struct, frozen=True):
    """A tool that is called; `arguments` is JSON."""

    name: str
    arguments: str


class Answer(Struct, frozen=True, kw_only=True):
    """An answer in no dialect.

    Attributes:
        seed: Names the answer; 8 hexadecimal digits.
        pieces: The text, a token each.
        thoughts: Likewise.
        calls: Tools to be called.
        finish: `stop`, `length`, `tool_calls` or `content_filter`.
        used: What the whole answer is charged for.
    """

    seed: str
    pieces: list[str]
    thoughts: list[str]
    calls: list[Call]
    finish: str
    used: Used


def answer(asked: Asked, told: Behaviour) -> Answer:
    """Make up the answer to a request."""
    words = asked.words
    seed = f"{zlib.crc32(words):08x}"
    calls = _calls(asked, told)
    finish = "tool_calls" if calls else "stop"
    pieces = [] if calls else _pieces(asked, told, seed)
    most = asked.max_completion_tokens or asked.max_output_tokens or asked.max_tokens
    if most is not None and len(pieces) > most:
        pieces, finish = pieces[:most], "length"
    if told.fault == "filtered":
        finish = "content_filter"
    thoughts = [f"thought{number} " for number in range(told.think)]
    written = (len(pieces) + sum(len(split(call.arguments)) for call in calls)) * (asked.n or 1)
    return Answer(
        seed=seed,
        pieces=pieces,
        thoughts=thoughts,
        calls=calls,
        finish=finish,
        used=reading(words, told, output=written + max(told.reasoning, told.think)),
    )


def reading(words: bytes, told: Behaviour, *, output: int) -> Used:
    """Return what a request of these words and an answer of so many tokens use."""
    return Used(
        input=max(1, len(words) // 4) if told.input is None else told.input,
        output=output,
        cached=told.cached,
        write=told.write,
        writelong=told.writelong,
        audioin=told.audioin,
        imagein=told.imagein,
        reasoning=max(told.reasoning, told.think),
        audioout=told.audioout,
    )


def split(text: str) -> list[str]:
    """Cut JSON into pieces of a frame each."""
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def decoded(raw: Raw) -> Any:
    """Return what stands in a field; None for nothing."""
    return msgspec.json.decode(raw) if bytes(raw) else None


def sample(schema: dict[str, Any]) -> Any:
    """Return a value that a JSON schema allows, always the same one."""
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return sample(schema[union][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        return {name: sample(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
    return {"integer": 7, "number": 2.5, "boolean": True, "null": None}.get(str(kind), "text")


def _pieces(asked: Asked, told: Behaviour, seed: str) -> list[str]:
    form = asked.response_format or (asked.text or {}).get("format") or (asked.output_config or {}).get("format")
    if isinstance(form, dict) and form.get("type") in {"json_schema", "json_object"}:
        schema = form.get("json_schema", form).get("schema", {"properties": {"answer": {"type": "string"}}})
        return split(msgspec.json.encode(sample(schema)).decode())
    if told.echo:
        return [word if not number else f" {word}" for number, word in enumerate(last_text(asked).split(" "))]
    return [seed, *(f" {number}" for number in range(1, told.tokens))][: told.tokens]


def last_text(asked: Asked) -> str:
    """Return the text of the last message, of any dialect."""
    spoken = decoded(asked.messages) or decoded(asked.input) or decoded(asked.prompt)
    if isinstance(spoken, list) and spoken:
        spoken = spoken[-1]
    if isinstance(spoken, dict):
        spoken = spoken.get("content")
    if isinstance(spoken, list):
        spoken = "".join(part.get("text", "") for part in spoken if isinstance(part, dict))
    return spoken if isinstance(spoken, str) else ""


def _calls(asked: Asked, told: Behaviour) -> list[Call]:
    """Call the tool that was asked for, or the first one; none where a tool has just answered, or none is wanted."""
    choice = asked.tool_choice
    wanted = choice.get("type") if isinstance(choice, dict) else choice
    if not asked.tools or wanted == "none" or _tool_has_answered(asked):
        return []
    named = (choice.get("function", choice)).get("name") if isinstance(choice, dict) else None
    declared = [tool.get("function", tool) for tool in asked.tools]
    found = [tool for tool in declared if tool.get("name") == named] or declared
    schema = found[0].get("parameters") or found[0].get("input_schema") or {}
    arguments = msgspec.json.encode(sample(schema or {"type": "object"})).decode()
    return [Call(str(found[0].get("name", "tool")), arguments)] * told.calls


def _tool_has_answered(asked: Asked) -> bool:
    spoken = decoded(asked.messages) or decoded(asked.input)
    last = spoken[-1] if isinstance(spoken, list) and spoken else {}
    if not isinstance(last, dict):
        return False
    content = last.get("content")
    parts = content if isinstance(content, list) else []
    return (
        last.get("role") == "tool"
        or last.get("type") == "function_call_output"
        or any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
    )
