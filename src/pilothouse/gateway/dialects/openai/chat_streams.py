"""Streams of OpenAI's chat form, read and written."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.anthropic.blocks import encode_thoughts
from pilothouse.gateway.dialects.frames import FrameCutter, StreamError, data_of, gathered, write_event
from pilothouse.gateway.dialects.openai.chat_meter import error_text
from pilothouse.models.providers import wire
from pilothouse.models.types import ChatChunk, ChatResponse, Message, Usage

_encode = msgspec.json.Encoder().encode
_FINISH: Final = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})


class ChatReader:
    """Reads a stream of chat or of completions."""

    def __init__(self) -> None:
        self._cutter = FrameCutter()
        self._is_done = False
        self._writing: set[int] = set()
        self._has_ended = False

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or for an error that the upstream reports in it.
        """
        payloads = (data_of(event) for event in self._cutter.cut(data))
        return gathered(self._event(payload) for payload in payloads if payload)

    def finish(self) -> bool:
        """Tell whether the answer was whole."""
        return self._is_done or (self._has_ended and not self._writing)

    def _event(self, payload: bytes) -> list[ChatChunk]:
        if payload == b"[DONE]":
            self._is_done = True
            return []
        answer = wire.decode_answer(payload)
        if answer.error is not None:
            raise StreamError(error_text(answer.error))
        chunks = wire.chunks_of(answer)
        for chunk in chunks:
            if chunk.finish_reason is None:
                self._writing.add(chunk.index)
            else:
                self._has_ended = True
                self._writing.discard(chunk.index)
        usage = wire.usage_of(answer)
        if usage is not None:
            chunks.append(ChatChunk(usage=usage, id=answer.id or "", model=answer.model or ""))
        return chunks


class ChatWriter:
    """Writes a stream of chat.

    Args:
        call_id: Its name.
        model: The model, as the client knows it.
        include_usage: Whether the client asked for usage.
    """

    def __init__(self, *, call_id: str, model: str, include_usage: bool) -> None:
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{call_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._includes_usage = include_usage
        self._begun: set[int] = set()
        self._thought = ""

    def feed(self, chunk: ChatChunk) -> bytes:
        """Return the event of one chunk."""
        delta = _delta(chunk)
        self._thought += chunk.reasoning
        if chunk.signature or chunk.hidden:
            delta["thinking_blocks"] = self._signed(chunk)
        if not delta and chunk.finish_reason is None and chunk.role is None:
            return b""
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            delta = {"role": "assistant", "content": "", **delta}
        choice = {
            "index": chunk.index,
            "delta": delta,
            "logprobs": chunk.logprobs,
            "finish_reason": finish_of(chunk.finish_reason),
        }
        return write_event(_encode({**self._head, "choices": [choice]}))

    def _signed(self, chunk: ChatChunk) -> list[dict[str, Any]]:
        if chunk.hidden:
            return [{"type": "redacted_thinking", "data": chunk.hidden}]
        text, self._thought = self._thought, ""
        return [{"type": "thinking", "thinking": text, "signature": chunk.signature}]

    def finish(self, usage: Usage | None) -> bytes:
        """Return the closing events."""
        done = write_event(b"[DONE]")
        if usage is None or not self._includes_usage:
            return done
        return write_event(_encode({**self._head, "choices": [], "usage": usage_body(usage)})) + done


def _delta(chunk: ChatChunk) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if chunk.text:
        delta["content"] = chunk.text
    if chunk.reasoning:
        delta["reasoning_content"] = chunk.reasoning
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    if chunk.audio is not None:
        delta["audio"] = chunk.audio
    if chunk.annotations:
        delta["annotations"] = list(chunk.annotations)
    if chunk.tool_calls:
        delta["tool_calls"] = [
            {
                "index": call.index,
                **({"id": call.id, "type": "function"} if call.id else {}),
                "function": {**({"name": call.name} if call.name else {}), "arguments": call.arguments},
            }
            for call in chunk.tool_calls
        ]
    return delta


def finish_of(reason: str | None) -> str | None:
    """Return a reason to end in the five words of this form; a word it does not know becomes ``stop``."""
    return reason if reason is None or reason in _FINISH else "stop"


def usage_body(usage: Usage) -> dict[str, Any]:
    """Return usage as this form reports it."""
    prompt = {"cached_tokens": usage.cached_input_tokens, "audio_tokens": usage.audio_input_tokens}
    completion = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens}
    if usage.image_input_tokens:
        prompt["image_tokens"] = usage.image_input_tokens
    if usage.image_output_tokens:
        completion["image_tokens"] = usage.image_output_tokens
    written = usage.cache_write_tokens + usage.cache_write_long_tokens
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": completion,
    }


def response_body(response: ChatResponse) -> dict[str, Any]:
    """Return a whole answer as this form writes it."""
    messages = response.choices or (response.message,)
    reasons = response.finish_reasons or (response.finish_reason,)
    logprobs = response.logprobs_of or (response.logprobs,)
    body: dict[str, Any] = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created or int(time.time()),
        "model": response.model,
        "choices": [
            {
                "index": index,
                "message": _message(message),
                "logprobs": logprobs[index] if index < len(logprobs) else None,
                "finish_reason": finish_of(reasons[index] if index < len(reasons) else None) or "stop",
            }
            for index, message in enumerate(messages)
        ],
    }
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    if response.usage is not None:
        body["usage"] = usage_body(response.usage)
    return body


def _message(message: Message) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    body: dict[str, Any] = {
        "role": "assistant",
        "content": message.text or (None if calls or message.function_call or message.refusal else ""),
        "refusal": message.refusal,
    }
    if message.reasoning:
        body["reasoning_content"] = message.reasoning
    signed = encode_thoughts(message)
    if signed:
        body["thinking_blocks"] = signed
    if message.annotations:
        body["annotations"] = list(message.annotations)
    if message.audio is not None:
        body["audio"] = message.audio
    if calls:
        body["tool_calls"] = calls
    if message.function_call is not None:
        body["function_call"] = {"name": message.function_call.name, "arguments": message.function_call.arguments}
    return body
