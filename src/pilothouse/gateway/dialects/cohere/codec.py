"""The codec of `cohere.chat`."""

from __future__ import annotations

from typing import Final

from pilothouse.gateway.dialects.cohere import answers, requests
from pilothouse.gateway.dialects.interface import StreamReader
from pilothouse.gateway.dialects.upstream_only import UpstreamCodec
from pilothouse.gateway.types import Wire
from pilothouse.models.types import ChatRequest, ChatResponse


class CohereCodec(UpstreamCodec):
    """Cohere's second version of `chat`."""

    wire: Wire = "cohere.chat"

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request.

        Raises:
            ValueError: for what this form cannot say.
        """
        return requests.encode_request(request, model, stream=stream)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a whole answer.

        Raises:
            ValueError: for what is none.
        """
        return answers.decode_response(body)

    def reader(self) -> StreamReader:
        """Return what reads one stream."""
        return answers.CohereReader()


COHERE: Final = CohereCodec()
