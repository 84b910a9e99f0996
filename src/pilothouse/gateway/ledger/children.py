"""Processes of their own for work on the ledger: neither their CPU time nor the engine's memory is the gateway's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from pilothouse.core import plugins
from pilothouse.core.errors import PilothouseError, StorageError
from pilothouse.core.services import Services


class Ended(NamedTuple):
    """How a child ended.

    Attributes:
        code: Its exit code; negative for a signal.
        output: What it answered.
        words: What it said on standard error.
    """

    code: int
    output: bytes
    words: str


class Child:
    """A module of this package that runs in a process of its own; Ctrl-C, which is meant for the gateway, spares it.

    Args:
        module: Its name; it ends with what `serve_parent` returns.
        arguments: The project's folder first.

    Raises:
        StorageError: when it cannot be started.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._root = arguments[0]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise StorageError(f"the ledger could not be asked: {error}", where=self._root) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def wait(self, seconds: float | None = None) -> Ended:
        """Return how it ended.

        Raises:
            StorageError: when it takes longer than so many seconds.
        """
        try:
            output, words = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise StorageError(f"the ledger gave no answer within {seconds:g} s", where=self._root) from error
        return Ended(self._process.returncode, output, words.decode("utf-8", "replace").strip()[-2000:])

    def end(self) -> None:
        """Ask it to end; any thread may."""
        self._process.terminate()


def serve_parent(root: str, work: Callable[[Services], bytes]) -> int:
    """Do a child's work on a project, and write its answer to standard output; return the exit code."""
    try:
        with plugins.load("workspaces", "project")(Path(root)) as workspace:
            sys.stdout.buffer.write(work(workspace))
    except PilothouseError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    return 0
