"""A flow as a function: called with its inputs, it returns its outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from pilothouse.core import plugins
from pilothouse.core.errors import UserCodeError, UserError
from pilothouse.core.services import Services
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.environment.contexts import WithObjects, changed
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.parameters import wants_stream
from pilothouse.flows.project import project_runner
from pilothouse.flows.promptflow.contexts import FlowContext
from pilothouse.flows.results import ErrorInfo, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.listening import Piece
from pilothouse.flows.streaming.relay import Know, Relay, Tell
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService

T = TypeVar("T")

_WORKSPACE = "project"
_UNNAMED = frozenset({"output"})
_END = object()


def open_project(folder: Path) -> Any:
    """Return the open project that a folder lies in: a context manager that gives services."""
    return plugins.load("workspaces", _WORKSPACE).open(folder)


def blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run async work to its end and return its result, wherever the caller stands.

    In a notebook or an async function there is an event loop already: then it runs in a thread, on a loop of its own.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, lambda: asyncio.run(work())).result()


class FlowFunction:
    """A flow that is called like a function: ``flow(question="...")`` returns its outputs.

    Each call opens the project that the flow lies in, for its connections. It may be called anywhere, also inside the
    tool of another flow.

    Attributes:
        flow: The flow.
        context: What calls change in it.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.context = FlowContext()

    @classmethod
    def load(cls, source: str | Path | Callable[..., Any], **_: Any) -> Self:
        """Return the flow of a folder, a file, ``module:function``, or of a function, class or instance.

        Raises:
            NotFound: when there is no flow at ``source``.
            FlowError: when it cannot work.
        """
        return cls(load_flow(source))

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.flow.name

    @property
    def path(self) -> Path:
        """The flow's file."""
        return self.flow.path

    @property
    def code(self) -> Path:
        """The flow's folder."""
        return self.flow.folder

    def __call__(self, *unnamed: Any, **inputs: Any) -> dict[str, Any]:
        """Run one line.

        Raises:
            UserError: for an input without its name.
            UserCodeError: when the line fails, with the reason and the traceback of the flow's code.
            PilothouseError: when the flow cannot be opened.
        """
        self._refuse(unnamed)
        if self.streams:
            return self.shaped(self.streamed(inputs).outputs())
        return self.given(blocking(lambda: self.line(inputs)))

    async def call(self, *unnamed: Any, **inputs: Any) -> dict[str, Any]:
        """Run one line on the loop of the caller; raises as a call does. What streams is an async generator."""
        self._refuse(unnamed)
        if self.streams:
            outputs = await asyncio.to_thread(self.streamed(inputs).outputs)
            return self.shaped({name: _awaited(item) for name, item in outputs.items()})
        return self.given(await self.line(inputs))

    @property
    def streams(self) -> bool:
        """Whether a call gives generators for the outputs that come in pieces."""
        described = self.flow.prompty
        return bool(self.context.streaming) and (described is None or wants_stream(described.parameters.get("stream")))

    def given(self, result: LineResult) -> dict[str, Any]:
        """Return the outputs of a line.

        Raises:
            UserCodeError: when the line failed.
        """
        if result.error is not None:
            raise failure(self.flow, result.error)
        return self.shaped(dict(result.outputs))

    def shaped(self, outputs: dict[str, Any]) -> Any:
        """Return outputs in the form that a call gives."""
        return outputs

    def streamed(self, inputs: Mapping[str, Any]) -> Relay:
        """Begin one line in a thread of its own; its outputs that come in pieces are generators."""

        async def run(tell: Tell, know: Know) -> dict[str, Any]:
            async with self._runner() as runner, runner.stream_line(inputs) as stream:
                async for event in stream:
                    if isinstance(event, Piece):
                        await tell(event.output, event.value)
                    else:
                        know(event.outputs)
            if stream.result.error is not None:
                raise failure(self.flow, stream.result.error)
            return stream.result.outputs

        return Relay(run, frozenset(self.flow.outputs) or _UNNAMED)

    async def line(self, inputs: Mapping[str, Any]) -> LineResult:
        """Run one line and return all that happened."""
        async with self._runner() as runner:
            return await runner.run_line(inputs)

    @asynccontextmanager
    async def _runner(self) -> AsyncGenerator[FlowRunner]:
        async with AsyncExitStack() as stack:
            services: Services = stack.enter_context(open_project(self.flow.folder))
            stack.push_async_callback(services.get(ModelService).aclose)
            yield await stack.enter_async_context(context_runner(services, self.flow, self.context))

    def _refuse(self, unnamed: tuple[Any, ...]) -> None:
        if unnamed:
            raise UserError(
                f"the flow '{self.name}' is called with inputs by name",
                expected=", ".join(f"{name}=..." for name in self.flow.inputs) or "no inputs",
            )


def failure(flow: Flow, error: ErrorInfo) -> UserCodeError:
    """Return the error for a line, a node or an aggregation that failed, with the traceback of the flow's code."""
    place = f" in node '{error.node}'" if error.node is not None else ""
    return UserCodeError(
        f"the flow '{flow.name}' failed{place}: {error.type}: {error.message}",
        where=str(flow.path),
        traceback=error.traceback or "",
    )


def context_runner(services: Services, flow: Flow, context: FlowContext) -> FlowRunner:
    """Return a runner of a flow with what a context changes in it.

    Raises:
        FlowError: for a node, variant or place that the flow does not have.
    """
    what = changed(flow, context)
    return project_runner(
        services,
        what.flow,
        variants=dict([parse_variant(context.variant)]) if context.variant else None,
        connections=what.connections,
        models=WithObjects(services.get(ModelService), what.objects) if what.objects else None,
    )


def _awaited(output: Any) -> Any:
    """Return a generator as an async one; anything else as it is."""

    async def pieces(source: Generator[Any]) -> AsyncGenerator[Any]:
        try:
            while (piece := await asyncio.to_thread(next, source, _END)) is not _END:
                yield piece
        finally:
            source.close()

    return pieces(cast("Generator[Any]", output)) if isinstance(output, Generator) else output


def load_function(source: str | Path | Callable[..., Any], **_: Any) -> FlowFunction:
    """Return a flow that can be called.

    Raises:
        NotFound: when there is no flow at ``source``.
        FlowError: when it cannot work.
    """
    return FlowFunction.load(source)
