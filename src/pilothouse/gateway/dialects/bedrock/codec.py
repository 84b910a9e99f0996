"""The codec of `bedrock.converse`."""

from __future__ import annotations

from typing import Final

from pilothouse.gateway.dialects.bedrock import answers, requests
from pilothouse.gateway.dialects.interface import StreamReader
from pilothouse.gateway.dialects.upstream_only import UpstreamCodec
from pilothouse.gateway.types import Wire
from pilothouse.models.types import ChatRequest, ChatResponse


class BedrockCodec(UpstreamCodec):
    """Amazon's `Converse` and `ConverseStream`."""

    wire: Wire = "bedrock.converse"

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request; model and stream stand in the address.

        Raises:
            ValueError: for what this form cannot say.
        """
        return requests.encode_request(request, model)

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read a whole answer.

        Raises:
            ValueError: for what is none.
        """
        return answers.decode_response(body)

    def reader(self) -> StreamReader:
        """Return what reads one stream."""
        return answers.BedrockReader()


BEDROCK: Final = BedrockCodec()
