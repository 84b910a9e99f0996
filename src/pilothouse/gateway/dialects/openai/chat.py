"""OpenAI's chat form.

Thoughts that Anthropic signed travel in ``thinking_blocks`` beside a message's content, as its own blocks, so that a
client of this form can send them back; OpenAI's clients keep fields they do not know.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.interface import Relay, Splice, StreamReader, StreamWriter
from pilothouse.gateway.dialects.openai.chat_meter import ChatMeter
from pilothouse.gateway.dialects.openai.chat_requests import decode_request
from pilothouse.gateway.dialects.openai.chat_streams import ChatReader, ChatWriter, response_body
from pilothouse.gateway.dialects.reading import read_as
from pilothouse.gateway.dialects.saying import effort_of, unsaid
from pilothouse.gateway.dialects.splicing import TRUE, bound, is_null, is_true, raw, text_field, with_model, written
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.providers import wire as answers
from pilothouse.models.types import ChatRequest, ChatResponse, FilePart, Part, Usage

_encode = msgspec.json.Encoder().encode
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REASONING: Final = re.compile(r"(?:.*/)?(?:o\d|gpt-[5-9])")
"""Models that know their limit of output by its newer name only."""


_FOREIGN: Final = frozenset({"cache_control", "context_management", "diagnostics"})


class _Whole(msgspec.Struct):
    choices: list[msgspec.Raw]
    model: str | None = None
    usage: answers.WireUsage | None = None


_wholes: Final = msgspec.json.Decoder(_Whole)


class ChatCodec:
    """Reads and writes OpenAI's chat form, which many servers speak."""

    wire: Wire = "openai.chat"

    def decode_request(self, body: bytes) -> ChatRequest:
        """Read a request."""
        return decode_request(body)

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request; a stream is asked to report its usage."""
        for message in request.messages:
            if not isinstance(message.content, str):
                _refuse_parts(message.content)
        body = {**answers.chat_body(request), **_kept(request.extra), "model": model}
        if request.tools is not None:
            body["tools"] = [
                {key: value for key, value in tool.items() if key != "cache_control"} for tool in request.tools
            ]
        effort = effort_of(request)
        if effort is not None:
            body["reasoning_effort"] = effort
        limit = body.pop("max_tokens", None)
        if limit is not None:
            body[limit_field(model)] = limit
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return _encode(body)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a whole answer."""
        return answers.response_of(answers.decode_answer(body))

    def encode_response(self, response: ChatResponse) -> bytes:
        """Write a whole answer."""
        return _encode(response_body(response))

    def reader(self) -> StreamReader:
        """Return what reads one stream."""
        return ChatReader()

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> StreamWriter:
        """Return what writes one stream."""
        return ChatWriter(call_id=call_id, model=model, include_usage=include_usage)

    def meter(self, *, hide_usage: bool) -> Relay:
        """Return what watches one stream."""
        return ChatMeter(hide_usage=hide_usage)

    def splice(self, body: Body, splice: Splice) -> bytes:
        """Return the body of a request that passes."""
        model = text_field(body, "model") if splice.model is None else splice.model
        changed = with_model(body, splice.model)
        changed = bound(changed, ("max_completion_tokens", "max_tokens"), limit_field(model), splice.max_output_tokens)
        if splice.ask_usage and is_true(body, "stream"):
            changed = asking_usage(changed)
        return written(changed)

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model of a whole answer."""
        whole = read_as(_wholes, body, "the answer")
        return (whole.usage.usage() if whole.usage else None), whole.model or ""


def _refuse_parts(parts: tuple[Part, ...]) -> None:
    for part in parts:
        if isinstance(part, FilePart) and part.url is not None and part.data is None:
            raise unsaid("chat", "file_url", "send the bytes of the file")


def _kept(extra: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in extra.items() if key not in _FOREIGN}


def limit_field(model: str) -> str:
    """Return the name under which a model takes its limit of output."""
    return "max_completion_tokens" if _REASONING.match(model) else "max_tokens"


def asking_usage(body: Body) -> Body:
    """Return a body whose stream reports its usage.

    Raises:
        ValueError: where ``stream_options`` is no object.
    """
    options: dict[str, Any] = (
        {} if is_null(body, "stream_options") else read_as(_objects, body["stream_options"], "`stream_options`")
    )
    return {**body, "stream_options": raw({**options, "include_usage": TRUE})}
