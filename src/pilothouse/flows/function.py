"""A flow as a function: called with its inputs, it returns its outputs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from pilothouse.core import plugins
from pilothouse.core.errors import UserCodeError
from pilothouse.core.services import Services
from pilothouse.flows.loader import load_flow
from pilothouse.flows.project import project_runner
from pilothouse.flows.results import LineResult
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService

_WORKSPACE = "project"


class FlowFunction:
    """A flow that is called like a function: ``flow(question="...")`` returns its outputs.

    Each call opens the project that the flow lies in, for its connections. It may be called anywhere, also inside the
    tool of another flow.

    Args:
        flow: The flow.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    @classmethod
    def load(cls, source: str | Path, **_: Any) -> FlowFunction:
        """Return the flow of a folder or file.

        Raises:
            NotFound: when there is no flow at ``source``.
            FlowError: when it cannot work.
        """
        return cls(load_flow(source))

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.flow.name

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run one line.

        Raises:
            UserCodeError: when the line fails, with the reason and the traceback of the flow's code.
            PilothouseError: when the flow cannot be opened.
        """
        # An event loop of its own, because the caller may stand in one.
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(copy_context().run, lambda: asyncio.run(self._run(inputs))).result()
        if result.error is not None:
            raise UserCodeError(
                f"the flow '{self.name}' failed: {result.error.message}",
                where=str(self.flow.path),
                traceback=result.error.traceback or "",
            )
        return dict(result.outputs)

    async def _run(self, inputs: dict[str, Any]) -> LineResult:
        services: Any = plugins.load("workspaces", _WORKSPACE).open(self.flow.folder)
        with services:
            opened: Services = services
            try:
                async with project_runner(opened, self.flow) as runner:
                    return await runner.run_line(inputs)
            finally:
                await opened.get(ModelService).aclose()


def load_function(source: str | Path, **_: Any) -> FlowFunction:
    """Return a flow that can be called: prompt flow's `load_flow`.

    Raises:
        NotFound: when there is no flow at ``source``.
        FlowError: when it cannot work.
    """
    return FlowFunction.load(source)
