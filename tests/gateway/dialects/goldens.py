"""The golden corpus: one conversation in every form, its answer whole and as a stream."""

from pathlib import Path

import msgspec

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.models.types import ChatChunk, ToolCall, Usage

CORPUS = Path(__file__).parent / "corpus"
RICH = ("openai.chat", "openai.responses", "anthropic.messages")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says, whole or streamed, in any form."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str, object], ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


def of_answer(response) -> Told:
    return Told(
        text=response.text,
        reasoning=response.message.reasoning or "",
        calls=_calls(response.message.tool_calls),
        finish_reason=response.finish_reason,
        usage=response.usage,
    )


def of_chunks(chunks: list[ChatChunk]) -> Told:
    calls: dict[int, ToolCall] = {}
    for chunk in chunks:
        for piece in chunk.tool_calls:
            known = calls.get(piece.index, ToolCall(id="", name="", arguments=""))
            calls[piece.index] = ToolCall(
                id=known.id or piece.id, name=known.name or piece.name, arguments=known.arguments + piece.arguments
            )
    reasons = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    return Told(
        text="".join(chunk.text for chunk in chunks),
        reasoning="".join(chunk.reasoning for chunk in chunks),
        calls=_calls(tuple(calls[index] for index in sorted(calls))),
        finish_reason=reasons[-1] if reasons else None,
        usage=usages[-1] if usages else None,
    )


def _calls(calls):
    return tuple((call.id, call.name, msgspec.json.decode(call.arguments)) for call in calls)


def read_stream(wire: str, data: bytes, size: int | None = None) -> tuple[list[ChatChunk], bool]:
    reader = codec(wire).reader()
    size = size or len(data)
    chunks = [chunk for begin in range(0, len(data), size) for chunk in reader.feed(data[begin : begin + size])]
    return chunks, reader.finish()


def write_stream(wire: str, chunks: list[ChatChunk]) -> bytes:
    writer = codec(wire).writer(call_id="abc", model="m", include_usage=True)
    usage = of_chunks(chunks).usage
    return b"".join(writer.feed(chunk) for chunk in chunks) + writer.finish(usage)


def golden(wire: str, name: str) -> bytes:
    """Return a file of the corpus."""
    return (CORPUS / wire / name).read_bytes()
