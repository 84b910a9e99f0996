"""What was seen of a step, in one form for both sides."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Failure(Struct, kw_only=True):
    """Why something failed."""

    type: str | None = None
    message: str = ""
    node: str | None = None


class Line(Struct, kw_only=True):
    """One line of a flow."""

    status: str = "completed"
    inputs: dict[str, Any] = {}
    outputs: Any = None
    nodes: dict[str, Any] = {}
    bypassed: list[str] = []
    error: Failure | None = None


class Observed(Struct, kw_only=True):
    """What a step gave. `error` is what ended it as a whole; a row's own stands in its line."""

    lines: list[Line] = []
    metrics: dict[str, Any] = {}
    error: Failure | None = None
    status: str | None = None
    counts: dict[str, Any] = {}
    notes: list[str] = []
    stdout: str = ""
    stderr: str = ""
    exit: int | None = None

    @property
    def failure(self) -> Failure | None:
        """The first thing that went wrong."""
        return self.error or next((line.error for line in self.lines if line.error is not None), None)
