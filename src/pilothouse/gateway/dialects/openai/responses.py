"""OpenAI's responses form."""

from __future__ import annotations

from pilothouse.gateway.dialects.interface import Relay, Splice, StreamReader, StreamWriter
from pilothouse.gateway.dialects.openai import responses_answers as answers
from pilothouse.gateway.dialects.openai import responses_decoding as decoding
from pilothouse.gateway.dialects.openai import responses_encoding as encoding
from pilothouse.gateway.dialects.openai.responses_events import ResponsesMeter, ResponsesReader
from pilothouse.gateway.dialects.openai.responses_writing import ResponsesWriter
from pilothouse.gateway.dialects.splicing import bound, with_model, written
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.types import ChatRequest, ChatResponse, Usage


class ResponsesCodec:
    """Reads and writes OpenAI's responses; usage is always reported, so there is none to ask for or to hide."""

    wire: Wire = "openai.responses"

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
        return ResponsesReader()

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> StreamWriter:
        """Return what writes one stream."""
        return ResponsesWriter(call_id=call_id, model=model)

    def meter(self, *, hide_usage: bool) -> Relay:
        """Return what watches one stream."""
        return ResponsesMeter()

    def splice(self, body: Body, splice: Splice) -> bytes:
        """Return the body of a request that passes."""
        limit = ("max_output_tokens",)
        return written(bound(with_model(body, splice.model), limit, limit[0], splice.max_output_tokens))

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model of a whole answer."""
        return answers.usage_of(body)
