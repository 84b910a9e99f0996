"""Streams of OpenAI's responses form, written."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from pilothouse.gateway.dialects.frames import write_event
from pilothouse.gateway.dialects.openai.responses_answers import (
    answer_body,
    call_item,
    message_item,
    reasoning_item,
    text_part,
    token_logprobs,
)
from pilothouse.models.types import ChatChunk, ToolCallDelta, Usage

_encode = msgspec.json.Encoder().encode


class ResponsesWriter:
    """Writes a stream: one item after another, each told at its begin, piece by piece, and whole at its end.

    Args:
        call_id: Its name.
        model: The model, as the client knows it.
    """

    def __init__(self, *, call_id: str, model: str) -> None:
        self._call_id = call_id
        self._model = model
        self._created = int(time.time())
        self._sequence = -1
        self._output: list[dict[str, Any]] = []
        self._open = ""
        self._texts: list[str] = []
        self._call = ToolCallDelta(index=-1)
        self._annotations: list[dict[str, Any]] = []
        self._calls: set[int] = set()
        self._reason: str | None = None

    def feed(self, chunk: ChatChunk) -> bytes:
        """Return the events of one chunk.

        Raises:
            ValueError: for a second answer beside the first, or a call of a tool that goes on after its end.
        """
        if chunk.index:
            raise ValueError("the responses form holds one answer, not several")
        out = [self._begin()]
        if chunk.reasoning:
            out.append(self._piece("reasoning", chunk.reasoning))
        text = chunk.text or str((chunk.audio or {}).get("transcript") or "")
        if text:
            out.append(self._piece("text", text, token_logprobs(chunk.logprobs)))
        if chunk.refusal:
            out.append(self._piece("refusal", chunk.refusal))
        self._annotations.extend(chunk.annotations)
        out.extend(self._tool(call) for call in chunk.tool_calls)
        self._reason = chunk.finish_reason or self._reason
        return b"".join(out)

    def finish(self, usage: Usage | None) -> bytes:
        """Return the closing events; this form always tells the usage."""
        out = self._begin() + self._close()
        body = self._answer(self._reason or "stop", usage)
        return out + self._event(f"response.{body['status']}", response=body)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return write_event(_encode({"type": kind, "sequence_number": self._sequence, **fields}), kind)

    def _answer(self, reason: str | None, usage: Usage | None = None) -> dict[str, Any]:
        return answer_body(
            answer_id=f"resp_{self._call_id}",
            model=self._model,
            created=self._created,
            output=self._output,
            reason=reason,
            usage=usage,
        )

    def _begin(self) -> bytes:
        if self._sequence >= 0:
            return b""
        body = self._answer(None)
        return self._event("response.created", response=body) + self._event("response.in_progress", response=body)

    @property
    def _place(self) -> dict[str, Any]:
        """Where the open item stands."""
        index = len(self._output)
        return {"item_id": f"item_{self._call_id}_{index}", "output_index": index}

    def _piece(self, kind: str, text: str, logprobs: list[Any] | None = None) -> bytes:
        opened = b"" if self._open == kind else self._close() + self._start(kind)
        self._texts.append(text)
        place = self._place
        if kind == "reasoning":
            event = self._event("response.reasoning_summary_text.delta", **place, summary_index=0, delta=text)
        elif kind == "refusal":
            event = self._event("response.refusal.delta", **place, content_index=0, delta=text)
        else:
            event = self._event(
                "response.output_text.delta", **place, content_index=0, delta=text, logprobs=logprobs or []
            )
        return opened + event

    def _start(self, kind: str) -> bytes:
        self._open = kind
        place = self._place
        item_id, index = place["item_id"], place["output_index"]
        if kind == "reasoning":
            item = reasoning_item(item_id, "")
            part = {"type": "summary_text", "text": ""}
            return self._event("response.output_item.added", output_index=index, item=item) + self._event(
                "response.reasoning_summary_part.added", **place, summary_index=0, part=part
            )
        item = message_item(item_id, [], "in_progress")
        part = text_part("", [], []) if kind == "text" else {"type": "refusal", "refusal": ""}
        return self._event("response.output_item.added", output_index=index, item=item) + self._event(
            "response.content_part.added", **place, content_index=0, part=part
        )

    def _tool(self, call: ToolCallDelta) -> bytes:
        name = f"tool {call.index}"
        out = b""
        if call.index not in self._calls:
            self._calls.add(call.index)
            out = self._close()
            self._open, self._call = name, call
            place = self._place
            item = call_item(place["item_id"], call.id, call.name, "", "in_progress")
            out += self._event("response.output_item.added", output_index=place["output_index"], item=item)
        elif self._open != name:
            raise ValueError("the upstream went on with a call of a tool after it had begun another")
        if call.arguments:
            self._texts.append(call.arguments)
            out += self._event("response.function_call_arguments.delta", **self._place, delta=call.arguments)
        return out

    def _close(self) -> bytes:
        if not self._open:
            return b""
        kind, text, place = self._open, "".join(self._texts), self._place
        if kind == "reasoning":
            out, item = self._close_reasoning(place, text)
        elif kind.startswith("tool"):
            item = call_item(place["item_id"], self._call.id, self._call.name, text)
            out = self._event("response.function_call_arguments.done", **place, name=self._call.name, arguments=text)
        else:
            out, item = self._close_words(kind, place, text)
        out += self._event("response.output_item.done", output_index=place["output_index"], item=item)
        self._output.append(item)
        self._open = ""
        self._texts = []
        return out

    def _close_reasoning(self, place: dict[str, Any], text: str) -> tuple[bytes, dict[str, Any]]:
        part = {"type": "summary_text", "text": text}
        out = self._event("response.reasoning_summary_text.done", **place, summary_index=0, text=text)
        out += self._event("response.reasoning_summary_part.done", **place, summary_index=0, part=part)
        return out, reasoning_item(place["item_id"], text)

    def _close_words(self, kind: str, place: dict[str, Any], text: str) -> tuple[bytes, dict[str, Any]]:
        if kind == "refusal":
            part: dict[str, Any] = {"type": "refusal", "refusal": text}
            out = self._event("response.refusal.done", **place, content_index=0, refusal=text)
        else:
            part = text_part(text, self._annotations, [])
            self._annotations = []
            out = self._event("response.output_text.done", **place, content_index=0, text=text, logprobs=[])
        out += self._event("response.content_part.done", **place, content_index=0, part=part)
        return out, message_item(place["item_id"], [part])
