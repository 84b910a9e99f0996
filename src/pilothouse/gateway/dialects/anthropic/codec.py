"""Anthropic's messages."""

from __future__ import annotations

from pilothouse.gateway.dialects.anthropic import answers, decoding, encoding
from pilothouse.gateway.dialects.anthropic.events import MessagesMeter, MessagesReader
from pilothouse.gateway.dialects.anthropic.writing import MessagesWriter
from pilothouse.gateway.dialects.interface import Relay, Splice, StreamReader, StreamWriter
from pilothouse.gateway.dialects.splicing import bound, with_model, written
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.types import ChatRequest, ChatResponse, Usage


class MessagesCodec:
    """Reads and writes Anthropic's messages; usage is always reported, so there is none to ask for or to hide."""

    wire: Wire = "anthropic.messages"

    def decode_request(self, body: bytes) -> ChatRequest:
        """Read a request."""
        return decoding.decode_request(body)

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request."""
        return encoding.encode_request(request, model=model, stream=stream)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a whole answer."""
        return answers.decode_response(body)

    def encode_response(self, response: ChatResponse) -> bytes:
        """Write a whole answer."""
        return answers.encode_response(response)

    def reader(self) -> StreamReader:
        """Return what reads one stream."""
        return MessagesReader()

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> StreamWriter:
        """Return what writes one stream."""
        return MessagesWriter(call_id=call_id, model=model)

    def meter(self, *, hide_usage: bool) -> Relay:
        """Return what watches one stream."""
        return MessagesMeter()

    def splice(self, body: Body, splice: Splice) -> bytes:
        """Return the body of a request that passes."""
        changed = bound(with_model(body, splice.model), ("max_tokens",), "max_tokens", splice.max_output_tokens)
        return written(changed)

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model of a whole answer."""
        return answers.usage_of(body)
