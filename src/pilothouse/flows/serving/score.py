"""`POST /score`: one line of the flow, answered as JSON or as an event stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from opentelemetry.context import attach, detach
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.listening import Event, Known, Piece
from pilothouse.flows.running.stream import LineStream
from pilothouse.flows.serving.answers import EVENT_STREAM, JSON, Problem, accepted, frame, json_response
from pilothouse.flows.serving.bodies import flow_inputs, read_body
from pilothouse.flows.serving.exchange import Exchange
from pilothouse.flows.serving.gate import Gate
from pilothouse.flows.serving.outcomes import on_the_wire, problem_of
from pilothouse.flows.settings import ServingSettings
from pilothouse.models.secret import Secret

DETAILS = "x-pilothouse-details"
"""A client that sends this header is told tokens and time in a last frame of their own kind."""

CLOSED = 499
"""What a request is recorded with whose client went away before the answer was whole."""

T = TypeVar("T")


class Scorer:
    """Runs lines for requests.

    Args:
        runner: The flow, open.
        settings: The limits.
        hidden: Outputs that are not answered.
        secrets: What no message may show.

    Attributes:
        gate: Counts the requests.
    """

    def __init__(
        self, runner: FlowRunner, settings: ServingSettings, hidden: frozenset[str], secrets: Collection[Secret]
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._hidden = hidden
        self._secrets = secrets
        self.gate = Gate(settings)

    async def answer(self, request: Request, exchange: Exchange) -> Response:
        """Answer one request; a response that streams goes on after this returns, and ends the exchange itself.

        Raises:
            Problem: for a request that cannot be answered, or whose line failed.
            ClientDisconnect: when the client went away; its line has been stopped.
        """
        flow = self._runner.flow
        accepts = accepted(request.headers.get("accept"))
        may_stream = EVENT_STREAM in accepts and self._runner.may_stream
        if not accepts & JSON and not may_stream:
            raise _not_acceptable(accepts, streams=self._runner.may_stream)
        inputs = flow_inputs(flow, await read_body(request, self._settings))
        stack = AsyncExitStack()
        try:
            await while_connected(request.receive, stack.enter_async_context(self.gate.passed()))
            token = attach(exchange.context)
            try:
                if not may_stream:
                    line = await while_connected(request.receive, self._runner.run_line(inputs, line_number=None))
                    return self._whole(line, exchange)
                stream = await stack.enter_async_context(self._runner.stream_line(inputs))
            finally:
                detach(token)
            events = aiter(stream)
            first = await while_connected(request.receive, _until_piece(events, at_once=stream.streams))
            is_over = stream.is_done and not any(isinstance(event, Piece) for event in first)
            if is_over and (stream.result.error is not None or not stream.streams):
                if stream.result.error is None and not accepts & JSON:
                    raise _not_acceptable(accepts, streams=False)
                return self._whole(stream.result, exchange)
            frames = self._frames(first, events, stream, exchange, wants_details=DETAILS in request.headers)
            response = EventStreamResponse(frames, stack.pop_all(), exchange, self._settings)
            response.headers.update(exchange.headers())
            return response
        finally:
            await stack.aclose()

    def _whole(self, line: LineResult, exchange: Exchange) -> Response:
        problem = problem_of(line, exchange.trace_id)
        if problem is not None:
            raise problem
        # As in prompt flow, what a flow returned by itself is the body by itself.
        shown: Any = self._shown(line.outputs)
        if line.is_bare and "output" in shown:
            shown = shown["output"]
        spent = {
            "x-input-tokens": str(line.usage.input_tokens),
            "x-output-tokens": str(line.usage.output_tokens),
            "x-duration-ms": f"{line.duration * 1000:.0f}",
        }
        return json_response(shown, headers=spent)

    def _shown(self, outputs: dict[str, Any]) -> dict[str, Any]:
        flow = self._runner.flow
        return {name: on_the_wire(flow, value) for name, value in outputs.items() if name not in self._hidden}

    async def _frames(
        self,
        first: list[Event],
        events: AsyncIterator[Event],
        stream: LineStream,
        exchange: Exchange,
        *,
        wants_details: bool,
    ) -> AsyncGenerator[bytes]:
        try:
            for event in first:
                yield self._frame(event)
            async for event in events:
                yield self._frame(event)
            problem = problem_of(stream.result, exchange.trace_id)
        except Problem as unsendable:
            problem = unsendable
            async for _ in events:
                pass
        if problem is not None:
            exchange.note(problem.message)
            yield frame(problem.body(self._secrets), "error")
        if wants_details:
            yield frame(_details(stream.result, exchange), "end")

    def _frame(self, event: Event) -> bytes:
        shown = self._shown(event.outputs if isinstance(event, Known) else {event.output: event.value})
        return frame(shown) if shown else b""


def _details(line: LineResult, exchange: Exchange) -> dict[str, Any]:
    return {
        "status": line.status,
        "input_tokens": line.usage.input_tokens,
        "output_tokens": line.usage.output_tokens,
        "duration": round(line.duration, 3),
        "trace_id": exchange.trace_id,
        "request_id": exchange.request_id,
    }


async def _until_piece(events: AsyncIterator[Event], *, at_once: bool) -> list[Event]:
    """Return what comes up to the first piece; only then is it certain that something streams.

    Args:
        events: What a line says.
        at_once: Whether it is certain already: then the first event will do.
    """
    found: list[Event] = []
    async for event in events:
        found.append(event)
        if at_once or isinstance(event, Piece):
            break
    return found


def _not_acceptable(accepts: Collection[str], *, streams: bool) -> Problem:
    offered = f"{EVENT_STREAM}, application/json" if streams else "application/json"
    named = ", ".join(sorted(accepts))
    return Problem(406, f"the Accept header asks for {named}; this flow answers with {offered}")


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """Wait for ``work`` as long as the client is there; when it goes away the work is cancelled.

    Raises:
        ClientDisconnect: when the client went away.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStreamResponse(Response):
    """Frames sent as they come; the line stops when the client goes away, or takes too long to receive one."""

    media_type = EVENT_STREAM

    def __init__(
        self, frames: AsyncGenerator[bytes], stack: AsyncExitStack, exchange: Exchange, settings: ServingSettings
    ) -> None:
        self._frames = frames
        self._stack = stack
        self._exchange = exchange
        self._patience = settings.send_timeout
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})
        # No length is known.
        del self.headers["content-length"]
        self.ended: Callable[[int], None] = lambda status: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames."""
        status = CLOSED
        try:
            with suppress(ClientDisconnect, OSError, TimeoutError):
                await while_connected(receive, self._send(send))
                status = 200
        finally:
            await self._frames.aclose()
            await self._stack.aclose()
            self.ended(status)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for part in self._frames:
            if part:
                await self._sent(send, part, more=True)
        await self._sent(send, b"", more=False)

    async def _sent(self, send: Send, part: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._patience):
            await send({"type": "http.response.body", "body": part, "more_body": more})
