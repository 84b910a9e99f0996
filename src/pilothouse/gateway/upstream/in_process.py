"""Deployments inside this process, the local model and the scripted one, behind OpenAI's form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final

import msgspec

from pilothouse.core.errors import ModelError, PilothouseError
from pilothouse.gateway.dialects import embeddings
from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.dialects.interface import Codec
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.types import Dialect, Failure, Wire
from pilothouse.gateway.upstream.types import UpstreamFault
from pilothouse.models.client import Provider as ModelProvider
from pilothouse.models.client import close_stream
from pilothouse.models.types import ChatChunk, CompletionRequest, EmbeddingRequest, Usage

SCHEME: Final = "in-process"

_NOT_ASKED: Final = frozenset(("stream", "stream_options"))
_COMPLETION: Final = frozenset(CompletionRequest.__struct_fields__) - {"extra"}
_WIRES: Final[dict[str, Wire]] = {
    "openai.chat": "openai.chat",
    "openai.responses": "openai.chat",
    "anthropic.messages": "openai.chat",
    "openai.completions": "openai.completions",
    "openai.embeddings": "openai.embeddings",
}


_STREAM: Final = ("stream", "yes")


class InProcessProvider:
    """The vendor's side of a connection whose models run in this process.

    Args:
        connection: The connection's name.
        client: What calls its models.
    """

    dialect: Dialect = "openai"

    def __init__(self, connection: str, client: ModelProvider) -> None:
        self.name = client.provider
        self.slots = client.concurrency
        self._url = f"{SCHEME}://{connection}"

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form it speaks for a call of the form ``wanted``; None where it cannot serve it."""
        return _WIRES.get(wanted)

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request as the transport of this process takes it."""
        return Outgoing(method=wire, url=self._url, headers=(_STREAM,) if stream else (), body=body)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no; models of this process raise instead."""
        return Refused(failure="server", message=body.decode("utf-8", "replace")[:400])

    async def prepare(self) -> None:
        """Do nothing: there is no token."""

    async def aclose(self) -> None:
        """Do nothing: the client belongs to `models`."""


class InProcessTransport:
    """Asks models of this process.

    Args:
        find: From a connection's name to what calls its models.
    """

    def __init__(self, find: Callable[[str], ModelProvider]) -> None:
        self._find = find

    async def open(
        self, outgoing: Outgoing, *, connect: float, whole: bool, patience: float | None = None
    ) -> InProcessAnswer:
        """Send a request; the answer's head comes when the model has begun.

        Raises:
            UpstreamFault: when the model refuses or fails.
        """
        client = self._find(outgoing.url.partition("://")[2])
        is_stream = _STREAM in outgoing.headers
        pieces = _PIECES[outgoing.method](client, outgoing.body, is_stream)
        answer = InProcessAnswer(pieces, "text/event-stream" if is_stream else "application/json")
        await answer.begin()
        return answer

    async def aclose(self) -> None:
        """Do nothing: the clients belong to `models`."""


class InProcessAnswer:
    """An answer of a model of this process; see ``Answer``."""

    def __init__(self, pieces: AsyncGenerator[bytes], content_type: str) -> None:
        self.status = 200
        self.content_type = content_type
        self._pieces = pieces
        self._first: bytes | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The content type."""
        return {"content-type": self.content_type}

    async def begin(self) -> None:
        """Wait for the first piece."""
        self._first = await self._next()

    async def read(self) -> bytes | None:
        """Return the next piece, or None at the end."""
        first, self._first = self._first, None
        return first if first is not None else await self._next()

    async def aclose(self) -> None:
        """End the call."""
        await self._pieces.aclose()

    async def _next(self) -> bytes | None:
        try:
            return await anext(self._pieces, None)
        except ModelError as error:
            raise UpstreamFault(_failure(error), error.message) from error
        except PilothouseError as error:
            raise UpstreamFault("server", error.message) from error


def _failure(error: ModelError) -> Failure:
    if "does not fit into a context" in error.message:
        return "context_length"
    if error.status == 429:
        return "rate_limit"
    return "request" if error.status is not None and 400 <= error.status < 500 else "server"


async def _chat(client: ModelProvider, body: bytes, stream: bool) -> AsyncGenerator[bytes]:
    form = codec("openai.chat")
    request = form.decode_request(body)
    if not stream:
        yield form.encode_response(await client.chat(request))
        return
    chunks = client.stream(request)
    async for piece in _written(form, chunks, request.model):
        yield piece


async def _written(form: Codec, chunks: AsyncIterator[ChatChunk], model: str) -> AsyncGenerator[bytes]:
    usage: Usage | None = None
    writer = None
    try:
        async for chunk in chunks:
            writer = writer or form.writer(call_id=chunk.id or "chatcmpl-local", model=model, include_usage=True)
            usage = chunk.usage or usage
            if piece := writer.feed(chunk):
                yield piece
    finally:
        await close_stream(chunks)
    if writer is not None:
        yield writer.finish(usage)


def _completion(body: bytes) -> CompletionRequest:
    """Read a request.

    Raises:
        UpstreamFault: for what is none, or what the models of this process have no word for.
    """
    fields = msgspec.json.decode(body, type=dict[str, Any])
    given = {name: value for name, value in fields.items() if name not in _NOT_ASKED and value is not None}
    if unknown := sorted(given.keys() - _COMPLETION):
        words = ", ".join(f"`{name}`" for name in unknown)
        raise UpstreamFault("request", f"models in this process have no word for {words} in completions")
    match given.get("prompt"):
        case [str(alone)]:
            given["prompt"] = alone
        case _:
            pass
    try:
        return msgspec.convert(given, CompletionRequest)
    except msgspec.ValidationError as error:
        raise UpstreamFault("request", f"models in this process continue one text: {error}") from None


async def _complete(client: ModelProvider, body: bytes, stream: bool) -> AsyncGenerator[bytes]:
    form = codec("openai.completions")
    asked = _completion(body)
    response = await client.complete(asked)
    if not stream:
        yield form.encode_response(response)
        return
    writer = form.writer(call_id=response.id or "cmpl-local", model=asked.model, include_usage=True)
    yield writer.feed(ChatChunk(text=response.text, finish_reason=response.finish_reason, model=asked.model))
    yield writer.finish(response.usage)


async def _embed(client: ModelProvider, body: bytes, stream: bool) -> AsyncGenerator[bytes]:
    model = msgspec.json.decode(body, type=dict[str, Any]).get("model") or ""
    try:
        asked = embeddings.read_request(body)
    except ValueError as error:
        raise UpstreamFault("request", str(error)) from None
    if asked.extra:
        words = ", ".join(f"`{name}`" for name in asked.extra)
        raise UpstreamFault("request", f"models in this process have no word for {words} in embeddings")
    request = EmbeddingRequest(model=model, inputs=asked.inputs, dimensions=asked.dimensions)
    yield embeddings.write_response(await client.embed(request), asked, model)


_PIECES: Final[dict[str, Callable[[ModelProvider, bytes, bool], AsyncGenerator[bytes]]]] = {
    "openai.chat": _chat,
    "openai.completions": _complete,
    "openai.embeddings": _embed,
}
