"""Streams of Anthropic's form, written."""

from __future__ import annotations

from typing import Any

import msgspec

from pilothouse.gateway.dialects.anthropic.answers import word_of
from pilothouse.gateway.dialects.anthropic.usage import usage_body
from pilothouse.gateway.dialects.frames import write_event
from pilothouse.models.types import ChatChunk, ToolCallDelta, Usage

_encode = msgspec.json.Encoder().encode


def _event(kind: str, **fields: Any) -> bytes:
    return write_event(_encode({"type": kind, **fields}), kind)


class MessagesWriter:
    """Writes a stream: one block after another, each with a begin and an end.

    Args:
        call_id: Its name.
        model: The model, as the client knows it.
    """

    def __init__(self, *, call_id: str, model: str) -> None:
        self._call_id = call_id
        self._model = model
        self._is_begun = False
        self._index = -1
        self._open = ""
        self._calls: set[int] = set()
        self._reason: str | None = None
        self._stop_sequence: str | None = None

    def feed(self, chunk: ChatChunk) -> bytes:
        """Return the events of one chunk.

        Raises:
            ValueError: for a second answer beside the first, or a call of a tool that goes on after its end.
        """
        if chunk.index:
            raise ValueError("the form of Anthropic holds one answer, not several")
        out = [] if self._is_begun else [self._begin()]
        if chunk.reasoning:
            out.append(self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
            out.append(self._delta("thinking_delta", "thinking", chunk.reasoning))
        if chunk.signature:
            out.append(self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
            out.append(self._delta("signature_delta", "signature", chunk.signature))
            out.append(self._close())
        if chunk.hidden:
            out.append(self._block("redacted", {"type": "redacted_thinking", "data": chunk.hidden}))
            out.append(self._close())
        text = chunk.text or chunk.refusal or str((chunk.audio or {}).get("transcript") or "")
        if text:
            out.append(self._block("text", {"type": "text", "text": ""}))
            out.append(self._delta("text_delta", "text", text))
        out.extend(self._call(call) for call in chunk.tool_calls)
        if chunk.finish_reason is not None:
            self._reason = chunk.finish_reason
            self._stop_sequence = chunk.stop_sequence
        return b"".join(out)

    def finish(self, usage: Usage | None) -> bytes:
        """Return the closing events; this form always tells the usage."""
        out = [] if self._is_begun else [self._begin()]
        out.append(self._close())
        delta = {
            "stop_reason": word_of(self._reason, self._stop_sequence),
            "stop_sequence": self._stop_sequence,
        }
        out.append(_event("message_delta", delta=delta, usage=usage_body(usage)))
        out.append(_event("message_stop"))
        return b"".join(out)

    def _begin(self) -> bytes:
        self._is_begun = True
        message: dict[str, Any] = {
            "id": f"msg_{self._call_id}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_body(None),
        }
        return _event("message_start", message=message)

    def _block(self, name: str, block: dict[str, Any]) -> bytes:
        if self._open == name:
            return b""
        closed = self._close()
        self._open = name
        self._index += 1
        return closed + _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", index=self._index)

    def _delta(self, kind: str, field: str, value: str) -> bytes:
        return _event("content_block_delta", index=self._index, delta={"type": kind, field: value})

    def _call(self, call: ToolCallDelta) -> bytes:
        name = f"tool {call.index}"
        out = b""
        if call.index not in self._calls:
            self._calls.add(call.index)
            call_id = call.id or f"toolu_{self._call_id}_{call.index}"
            out = self._block(name, {"type": "tool_use", "id": call_id, "name": call.name, "input": {}})
        elif self._open != name:
            raise ValueError("the upstream went on with a call of a tool after it had begun another")
        if call.arguments:
            out += self._delta("input_json_delta", "partial_json", call.arguments)
        return out
