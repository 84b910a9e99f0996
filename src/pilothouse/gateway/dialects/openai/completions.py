"""OpenAI's older form: one text to be continued.

Towards a form of chat the prompt becomes the message of a user; from one, only such a conversation can be said.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.frames import write_event
from pilothouse.gateway.dialects.interface import Relay, Splice, StreamReader, StreamWriter
from pilothouse.gateway.dialects.openai.chat import ChatCodec, asking_usage
from pilothouse.gateway.dialects.openai.chat_meter import ChatMeter
from pilothouse.gateway.dialects.openai.chat_streams import ChatReader, finish_of, usage_body
from pilothouse.gateway.dialects.reading import convert, read_object
from pilothouse.gateway.dialects.saying import refuse_extra, refuse_fields, unsaid
from pilothouse.gateway.dialects.splicing import bound, is_true, with_model, written
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.providers import wire as answers
from pilothouse.models.types import ChatChunk, ChatRequest, ChatResponse, CompletionRequest, Message, Usage

_FORM: Final = "completions"
_encode = msgspec.json.Encoder().encode
_SAME: Final = (
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
)
_UNSAID: Final = (
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "top_k",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "verbosity",
    "service_tier",
)


class _Fields(Struct):
    model: str
    prompt: str | list[Any]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None


class CompletionsCodec:
    """Reads and writes OpenAI's completions."""

    wire: Wire = "openai.completions"

    def __init__(self) -> None:
        self._chat = ChatCodec()

    def decode_request(self, body: bytes) -> ChatRequest:
        """Read a request."""
        found = read_object(body)
        fields = convert(found, _Fields, "the request")
        if fields.max_tokens is not None and fields.max_tokens < 1:
            raise ValueError(f"`max_tokens` must be 1 or more, not {fields.max_tokens}")
        for name in ("suffix", "echo", "logprobs"):
            if getattr(fields, name):
                raise unsaid("chat", name)
        if fields.best_of is not None and fields.best_of > (fields.n or 1):
            raise unsaid("chat", "best_of")
        same: dict[str, Any] = {name: getattr(fields, name) for name in _SAME}
        return ChatRequest(
            **same,
            messages=(Message(role="user", content=_prompt(fields.prompt)),),
            stop=tuple(fields.stop) if isinstance(fields.stop, list) else fields.stop,
            extra={key: value for key, value in found.items() if key not in _Fields.__struct_fields__},
        )

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request."""
        refuse_extra(request.extra, _FORM)
        refuse_fields(request, _UNSAID, _FORM)
        message = request.messages[0] if len(request.messages) == 1 else None
        if message is None or message.role != "user" or not isinstance(message.content, str):
            raise unsaid(_FORM, "messages", "it takes one text, so send one message of a user")
        if request.reasoning is not None:
            raise unsaid(_FORM, "reasoning_effort")
        same: dict[str, Any] = {name: getattr(request, name) for name in (*_SAME, "stop")}
        same["model"] = model
        body = answers.completion_body(CompletionRequest(**same, prompt=message.content))
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return _encode(body)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a whole answer."""
        return self._chat.decode_response(body)

    def encode_response(self, response: ChatResponse) -> bytes:
        """Write a whole answer."""
        messages = response.choices or (response.message,)
        reasons = response.finish_reasons or (response.finish_reason,)
        body: dict[str, Any] = {
            "id": response.id,
            "object": "text_completion",
            "created": response.created or int(time.time()),
            "model": response.model,
            "choices": [
                {"index": index, "text": _text(message), "logprobs": None, "finish_reason": finish_of(reason) or "stop"}
                for index, (message, reason) in enumerate(zip(messages, reasons, strict=False))
            ],
        }
        if response.usage is not None:
            body["usage"] = usage_body(response.usage)
        return _encode(body)

    def reader(self) -> StreamReader:
        """Return what reads one stream."""
        return ChatReader()

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> StreamWriter:
        """Return what writes one stream."""
        return _Writer(call_id=call_id, model=model, include_usage=include_usage)

    def meter(self, *, hide_usage: bool) -> Relay:
        """Return what watches one stream."""
        return ChatMeter(hide_usage=hide_usage)

    def splice(self, body: Body, splice: Splice) -> bytes:
        """Return the body of a request that passes."""
        changed = bound(with_model(body, splice.model), ("max_tokens",), "max_tokens", splice.max_output_tokens)
        return written(asking_usage(changed) if splice.ask_usage and is_true(body, "stream") else changed)

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model of a whole answer."""
        return self._chat.usage(body)


class _Writer:
    def __init__(self, *, call_id: str, model: str, include_usage: bool) -> None:
        created = int(time.time())
        self._head = {"id": f"cmpl-{call_id}", "object": "text_completion", "created": created, "model": model}
        self._includes_usage = include_usage

    def feed(self, chunk: ChatChunk) -> bytes:
        if chunk.tool_calls:
            raise unsaid(_FORM, "tool_calls")
        text = chunk.text or chunk.refusal
        if not text and chunk.finish_reason is None:
            return b""
        choice = {
            "index": chunk.index,
            "text": text,
            "logprobs": None,
            "finish_reason": finish_of(chunk.finish_reason),
        }
        return write_event(_encode({**self._head, "choices": [choice]}))

    def finish(self, usage: Usage | None) -> bytes:
        done = write_event(b"[DONE]")
        if usage is None or not self._includes_usage:
            return done
        return write_event(_encode({**self._head, "choices": [], "usage": usage_body(usage)})) + done


def _prompt(prompt: str | list[Any]) -> str:
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    raise unsaid("chat", "prompt", "send one text, not several and no tokens")


def _text(message: Message) -> str:
    if message.tool_calls or message.function_call is not None:
        raise unsaid(_FORM, "tool_calls")
    return message.text or message.refusal or ""
