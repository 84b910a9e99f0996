"""`promptflow.core.Flow`, `AsyncFlow` and `load_flow`: flows called as functions, failing with prompt flow's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.client.prompties import AsyncPrompty, Prompty
from pilothouse.flows.function import FlowFunction, blocking
from pilothouse.flows.loader import PROMPTY, load_flow
from pilothouse.flows.results import LineResult


class Invocation(Struct, frozen=True, kw_only=True):
    """What `invoke` gives: the outputs, and all that happened."""

    output: dict[str, Any]
    run_info: LineResult


class Flow(FlowFunction):
    """A flow that is called with its inputs by name and returns its outputs."""

    @classmethod
    def load(cls, source: str | Path | Callable[..., Any], **more: Any) -> Any:
        """Return the flow, or prompty, of a folder or file.

        Raises:
            UserErrorException: when there is none, or it cannot work.
        """
        with as_promptflow():
            if isinstance(source, str | Path) and Path(source).suffix == PROMPTY:
                return Prompty.load(source, **more)
            made = cls(load_flow(source))
            made.context.streaming = True
            return made

    def __call__(self, *unnamed: Any, **inputs: Any) -> dict[str, Any]:
        """Run one line and return its outputs.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            return super().__call__(*unnamed, **inputs)

    def invoke(self, inputs: Mapping[str, Any], **_: Any) -> Invocation:
        """Run one line and return its outputs with all that happened.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            result = blocking(lambda: self.line(inputs))
            return Invocation(output=self.given(result), run_info=result)


class AsyncFlow(FlowFunction):
    """A flow that is awaited: ``outputs = await flow(question="...")``."""

    @classmethod
    def load(cls, source: str | Path | Callable[..., Any], **more: Any) -> Any:
        """Return the flow, or prompty, of a folder or file.

        Raises:
            UserErrorException: when there is none, or it cannot work.
        """
        with as_promptflow():
            if isinstance(source, str | Path) and Path(source).suffix == PROMPTY:
                return AsyncPrompty.load(source, **more)
            made = cls(load_flow(source))
            made.context.streaming = True
            return made

    async def __call__(self, *unnamed: Any, **inputs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Run one line on the caller's loop and return its outputs.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            return await self.call(*unnamed, **inputs)

    async def invoke(self, inputs: Mapping[str, Any], **_: Any) -> Invocation:
        """Run one line on the caller's loop and return its outputs with all that happened.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            result = await self.line(inputs)
            return Invocation(output=self.given(result), run_info=result)


def load_client_flow(source: str | Path | Callable[..., Any], **more: Any) -> Any:
    """Return a flow that can be called: `promptflow.client.load_flow`. It streams where its context says so.

    Raises:
        UserErrorException: when there is none, or it cannot work.
    """
    made = Flow.load(source, **more)
    if isinstance(made, Flow):
        made.context.streaming = None
    return made
