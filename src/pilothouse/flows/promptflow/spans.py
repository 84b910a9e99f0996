"""Prompt flow's way to start tracing, and threads that stay in the span they were started in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def start_trace(**options: Any) -> None:
    """Do nothing: the flow that runs is traced already, into the project's own store.

    Args:
        options: Prompt flow's ``collection`` and ``resource_attributes``; not read.
    """


class ThreadPoolExecutorWithContext(ThreadPoolExecutor):
    """A pool of threads whose tasks see the context variables, and so the span, of who submits them."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a call."""
        return super().submit(copy_context().run, fn, *args, **kwargs)
