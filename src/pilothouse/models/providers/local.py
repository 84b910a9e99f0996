"""Connection `local`: a model in this process. No key, no network, no price.

With temperature 0, or with a seed, the same request gives the same answer, whatever else is running (see
``llama.BATCH``); on other processors than x86-64 this has not been measured.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.core.packages import user_cache
from pilothouse.models.client import ProviderContext, StreamCollector
from pilothouse.models.local_models import DEFAULT, model_file
from pilothouse.models.providers import wire
from pilothouse.models.providers.encoder import OFFLINE, Encoder
from pilothouse.models.providers.forced_calls import forced_call
from pilothouse.models.providers.llama import SHARED, Engine, EngineOptions, Operation, default_threads
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    Connection,
    EmbeddingRequest,
    EmbeddingResponse,
    Usage,
)

_TOO_LONG: Final = "exceed_context_size_error"
_NO_VECTORS: Final = "Pooling type 'none'"


class LocalClient:
    """Calls models in this process; each is loaded at its first call.

    Args:
        connection: Its fields `model`, `context`, `parallel`, `threads` go before the settings.
        context: Where settings and files are found.
    """

    def __init__(self, connection: Connection, context: ProviderContext) -> None:
        settings = context.settings.local
        self._connection = connection
        self._context = context
        self._default = connection.get("model", DEFAULT)
        self._tokens = _whole(connection, "context", settings.context)
        self._parallel = _whole(connection, "parallel", settings.parallel)
        self._threads = _whole(connection, "threads", settings.threads or default_threads())
        self._engines: dict[EngineOptions, Engine] = {}
        self._loading = threading.Lock()
        self._encoder: Encoder | None = None

    @property
    def provider(self) -> str:
        """Who serves the model."""
        return "local"

    @property
    def concurrency(self) -> int | None:
        """As many calls as the model has slots."""
        return self._parallel

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        return await _collected(self._answer_to(request))

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        body = {**wire.completion_body(request), **request.extra}
        return await _collected(self._chunks("complete", request.model, body))

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece."""
        chunks = self._answer_to(request)
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    async def _answer_to(self, request: ChatRequest) -> AsyncGenerator[ChatChunk]:
        forced = forced_call(request)
        if forced is not None and (await self._engine(request.model or self._default)).knows_tools:
            forced = None
        asked = request if forced is None else forced.request
        chunks = self._chunks("chat", asked.model, {**wire.chat_body(asked), **asked.extra})
        try:
            async for chunk in chunks if forced is None else forced.read(chunks):
                yield chunk
        finally:
            await chunks.aclose()

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors; only models made for that do: `minilm` of the extra `similarity`, or a GGUF file."""
        name = request.model or self._default
        if name == OFFLINE:
            return await asyncio.to_thread(self._encode, request)
        engine = await self._engine(name, embedding=True)
        payload = msgspec.json.encode(wire.embedding_body(request))
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(engine.threads, engine.embed, payload)
        self._answer(data, name)
        return replace(wire.embeddings_of(data, len(request.inputs)), model=name)

    async def aclose(self) -> None:
        """Free the models, unless another client of this process uses them."""
        await asyncio.to_thread(self.close)

    def check(self, model: str) -> None:
        """Refuse a model that is not pulled, or a file that is none."""
        if (model or self._default) == OFFLINE:
            self._open_encoder()
        else:
            model_file(model or self._default, self._context.root, self._context.cache)

    def close(self) -> None:
        """Free the models, unless another client of this process uses them."""
        with self._loading:
            for options in self._engines:
                SHARED.release(options)
            self._engines.clear()
            self._encoder = None

    def _encode(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Return vectors by the encoder, which is no model of texts and needs none of their memory."""
        if request.dimensions is not None:
            raise self._error("the encoder's vectors have one length: leave 'dimensions' out", OFFLINE)
        encoder = self._open_encoder()
        tokens = sum(len(encoder.ids(text)) for text in request.inputs)
        vectors = tuple(tuple(map(float, encoder.whole(text))) for text in request.inputs)
        return EmbeddingResponse(model=OFFLINE, vectors=vectors, usage=Usage(input_tokens=tokens))

    def _open_encoder(self) -> Encoder:
        with self._loading:
            if self._encoder is None:
                cache = user_cache(Environment.load(self._context.root))
                self._encoder = Encoder.offline(cache, download=False)
            return self._encoder

    async def _chunks(self, operation: Operation, model: str, body: dict[str, Any]) -> AsyncGenerator[ChatChunk]:
        name = model or self._default
        engine = await self._engine(name)
        payload = msgspec.json.encode({**body, "stream": True, "stream_options": {"include_usage": True}})
        finished = False
        events = _events(engine, operation, payload)
        try:
            async for event in events:
                answer = self._answer(event, name)
                for chunk in wire.chunks_of(answer):
                    finished = finished or chunk.finish_reason is not None
                    yield replace(chunk, model=name)
                usage = wire.usage_of(answer)
                if usage is not None:
                    yield ChatChunk(usage=usage, model=name)
        finally:
            await events.aclose()
        if not finished:
            raise self._error("the model stopped before the answer was complete", name)

    async def _engine(self, name: str, *, embedding: bool = False) -> Engine:
        options = EngineOptions(
            path=model_file(name, self._context.root, self._context.cache),
            context=self._tokens,
            parallel=self._parallel,
            threads=self._threads,
            embedding=embedding,
        )
        return self._engines.get(options) or await asyncio.to_thread(self._load, options)

    def _load(self, options: EngineOptions) -> Engine:
        with self._loading:
            if options not in self._engines:
                self._engines[options] = SHARED.acquire(options)
            return self._engines[options]

    def _answer(self, data: bytes, name: str) -> wire.Answer:
        answer = wire.decode_answer(data)
        if answer.error is None:
            return answer
        error = cast("dict[str, Any]", answer.error)
        message = str(error.get("message"))
        if _NO_VECTORS in message:
            raise ModelError(
                "the model makes no vectors",
                status=400,
                where=self._where(name),
                fix="name an embedding model: the path of its .gguf file",
            )
        if error.get("type") != _TOO_LONG:
            raise self._error(message, name, status=wire.error_code(data) or 500)
        raise ModelError(
            f"the prompt of {error.get('n_prompt_tokens')} tokens does not fit into a context of {self._tokens}",
            status=400,
            where=self._where(name),
            fix="shorten the prompt, or raise models.local.context in pilothouse.yaml",
        )

    def _error(self, message: str, name: str, *, status: int | None = None) -> ModelError:
        return ModelError(message, status=status, where=self._where(name))

    def _where(self, name: str) -> str:
        return f"connection '{self._connection.name}', model '{name}'"


def build(connection: Connection, context: ProviderContext) -> LocalClient:
    """Return the client of a connection."""
    return LocalClient(connection, context)


async def _collected(chunks: AsyncIterator[ChatChunk]) -> ChatResponse:
    # Always streamed: only between two pieces can a call be given up.
    collector = StreamCollector()
    async for chunk in chunks:
        collector.add(chunk)
    return collector.response()


async def _events(engine: Engine, operation: Operation, payload: bytes) -> AsyncGenerator[bytes]:
    """Yield the events of one call, which runs on a thread of the engine; leaving early ends the call."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    given_up = threading.Event()

    def sink(event: bytes) -> bool:
        if not given_up.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, event)
        return given_up.is_set()

    call = loop.run_in_executor(engine.threads, engine.run, operation, payload, sink)
    call.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await call
    finally:
        given_up.set()
        call.cancel()


def _whole(connection: Connection, field: str, default: int) -> int:
    text = connection.get(field, str(default))
    if not text.isdigit() or int(text) < 1:
        raise ConnectionFault(
            f"'{field}' of the connection '{connection.name}' is '{text}'",
            where=connection.where or None,
            expected="a whole number, 1 or more",
        )
    return int(text)
