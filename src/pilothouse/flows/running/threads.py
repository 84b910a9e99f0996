"""Threads for sync tools. They are daemons: a tool that hangs must not keep the process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class ToolThreads:
    """Runs calls in threads, for whoever waits on an event loop.

    Args:
        size: Threads at most; they are started as they are needed.
        executor: Somebody else's threads, to be used in place of own ones.
    """

    def __init__(self, size: int, executor: Executor | None = None) -> None:
        self._size = size
        self._executor = executor
        self._started = 0
        self._outstanding = 0
        self._is_closed = False
        self._guard = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` in a thread, in a copy of the context of the caller.

        When the caller is cancelled it stops waiting at once; a call that has begun runs to its end, because Python
        cannot stop a thread.
        """
        return await self.submit(call)

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Hand ``call`` to a thread, as `run` does, and return what becomes of it."""
        loop = asyncio.get_running_loop()
        context = copy_context()
        if self._executor is not None:
            return loop.run_in_executor(self._executor, context.run, call)
        future: asyncio.Future[T] = loop.create_future()
        self._submit((partial(context.run, call), loop, future))
        return future

    def close(self) -> None:
        """End the threads as they become idle; never waits. Nothing can be run afterwards."""
        with self._guard:
            self._is_closed = True
            for _ in range(self._started):
                self._jobs.put(None)

    def _submit(self, job: Job) -> None:
        with self._guard:
            if self._is_closed:
                raise RuntimeError("the threads of this runner are closed")
            self._jobs.put(job)
            # A thread for each call that has not ended: whatever waits for another call in here must not wait for ever.
            self._outstanding += 1
            if self._outstanding <= self._started or self._started >= self._size:
                return
            self._started += 1
            name = f"tool-{self._started}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, future = job
            result, error = None, None
            # Who gave up waiting before the call began wants nothing run any more.
            if not future.cancelled():
                try:
                    result = call()
                except BaseException as problem:  # noqa: BLE001 - it belongs to whoever waits
                    error = problem
            with self._guard:
                self._outstanding -= 1
            # A loop that was closed while the tool ran waits no more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, result, error)
            del job, call, future, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
