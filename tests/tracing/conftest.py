"""Spans made for tests, and processes that make them.

`folder`         the folder of all telemetry
`capture`        a `Capture` over `folder`: make spans with it, then `capture.flush()`
`run_python`     run a script in a process of its own; what it prints comes back
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .recording import Capture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "telemetry"


@pytest.fixture
def capture(folder: Path) -> Iterator[Capture]:
    made = Capture(folder)
    yield made
    made.close()


RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_python() -> RunPython:
    """Run a script in a process of its own; `argv` are its arguments."""

    def run(script: str, *arguments: object, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert check is None or done.returncode == check, done.stderr
        return done

    return run
