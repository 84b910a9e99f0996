"""What was found about a flow that was not run."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """One mistake.

    Attributes:
        message: What is wrong, in one sentence.
        where: ``file:line``, or the name of what it belongs to; empty where nothing says so.
        expected: What would have been right.
        fix: What to do or type.
        traceback: The frames of the user's own code, where that raised.
    """

    message: str
    where: str = ""
    expected: str = ""
    fix: str = ""
    traceback: str = ""


class FlowReport(Struct, frozen=True, kw_only=True):
    """All that was found about one flow.

    Attributes:
        file: Its file.
        name: Its name; that of its folder where it cannot be read.
        kind: Its kind; empty where it cannot be read.
        nodes: How many nodes it has.
        errors: What must be mended before it runs.
        notes: What is ignored, likely mistaken, or not as its requirements ask.
    """

    file: Path
    name: str
    kind: str = ""
    nodes: int = 0
    errors: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing is known that keeps it from running."""
        return not self.errors
