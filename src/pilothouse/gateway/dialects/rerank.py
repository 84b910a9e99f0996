"""Rerank: the form of Cohere, which Jina, vLLM and others speak too; it passes, and its usage is read."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.upstream_only import quoted
from pilothouse.gateway.types import Body, Wire
from pilothouse.models.types import Usage


class _Units(Struct):
    search_units: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Units | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(Struct):
    results: list[msgspec.Raw]
    model: str | None = None
    meta: _Meta | None = None
    usage: _Usage | None = None


class _Request(Struct):
    query: str
    documents: list[msgspec.Raw]
    top_n: int | None = None


_answers = msgspec.json.Decoder(_Answer)
_requests = msgspec.json.Decoder(_Request)


class RerankCodec:
    """The form `cohere.rerank`."""

    wire: Wire = "cohere.rerank"

    def check(self, body: bytes) -> None:
        """Look at a request before it is sent.

        Raises:
            ValueError: for one without a query or documents.
        """
        try:
            request = _requests.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"the request cannot be read: {error}; expected `query` and `documents`") from None
        if not request.query or not request.documents:
            raise ValueError("`query` and `documents` must not be empty")
        if request.top_n is not None and request.top_n < 1:
            raise ValueError("`top_n` must be 1 or more")

    def splice(self, body: Body, model: str | None) -> bytes:
        """Return a request with the deployment's name for the model; None leaves the client's."""
        if model is not None:
            body = {**body, "model": msgspec.Raw(msgspec.json.encode(model))}
        return msgspec.json.encode(body)

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return what an answer says was used, search units or tokens, and its model.

        Raises:
            ValueError: for what is no answer of this form.
        """
        try:
            answer = _answers.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"the answer cannot be read ({error}): {quoted(body)}") from None
        model = answer.model or ""
        units = answer.meta.billed_units if answer.meta is not None else None
        if units is not None:
            return Usage(
                input_tokens=int(units.input_tokens or 0),
                output_tokens=int(units.output_tokens or 0),
                searches=int(units.search_units or 0),
            ), model
        if answer.usage is None:
            return None, model
        tokens = answer.usage.total_tokens if answer.usage.total_tokens is not None else answer.usage.prompt_tokens
        return (None if tokens is None else Usage(input_tokens=tokens)), model


RERANK: Final = RerankCodec()
