"""What a build is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field

Format = Literal["folder", "docker"]
Content = bytes | Path
"""What a file of a build holds, or the file that it is a copy of."""

FLOW: Final = "flow"
"""The folder of a build that holds the flow."""


class Variable(Struct, frozen=True, kw_only=True):
    """An environment variable that a build needs.

    Attributes:
        name: Its name.
        why: What reads it.
    """

    name: str
    why: str


class Part(Struct, frozen=True, kw_only=True):
    """What one side of the flow brings to the build: its sources, its connections, its packages.

    Attributes:
        files: By their names in the build.
        variables: What it reads from the environment.
        notes: What a reader should know: what was left out or changed.
    """

    files: dict[str, Content] = field(default_factory=dict[str, Content])
    variables: tuple[Variable, ...] = ()
    notes: tuple[str, ...] = ()


class Build(Struct, frozen=True, kw_only=True):
    """A flow ready to be written.

    Attributes:
        name: The flow's name.
        format: What it is for.
        files: By their names; the same flow gives the same bytes.
        variables: What must be set where it runs, by name.
        notes: What was left out or changed.
    """

    name: str
    format: Format
    files: dict[str, Content]
    variables: tuple[Variable, ...] = ()
    notes: tuple[str, ...] = ()
