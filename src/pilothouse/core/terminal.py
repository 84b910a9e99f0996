"""What people see in the terminal: tables, progress and JSON, alike in every command."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pilothouse.core import plugins

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

MINIMUM_WIDTH = 60


def console(*, stderr: bool = False) -> Console:
    """Return a console that writes colour only to a terminal; 80 columns where there is none."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, width=max(made.width, 80), no_color=True)
    made.on_broken_pipe = _reader_left
    return made


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]] = ()) -> Table:
    """Return a table; a column whose name starts with `>` is aligned to the right; without names there is no head."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    headed = any(columns)
    made = Table(
        title=title,
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        # A title wraps at its table's width, not at the terminal's.
        min_width=min(len(title or ""), MINIMUM_WIDTH),
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if not isinstance(cell, str) else Text(cell) for cell in map(_cell, row)))
    return made


def progress() -> Progress:
    """Return a progress display: description, bar, count, rate and time; plain and silent off a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    shown = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=shown,
        disable=not shown.is_terminal,
    )


def download_progress() -> Progress:
    """Return a progress display for bytes: bar, size, speed and time."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    shown = console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=shown,
        disable=not shown.is_terminal,
    )


def emit_json(value: object) -> None:
    """Write ``value`` to standard output as indented JSON and a line end."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode() + "\n")
    # A reader that went away must be met here, not when the interpreter ends.
    sys.stdout.flush()


def _reader_left() -> None:
    """Let the door decide what it means that nobody reads on; the console would leave with 1."""
    raise  # noqa: PLE0704 - the console calls this while it handles the error


def _cell(value: Any) -> Any:
    return "" if value is None else str(value) if isinstance(value, int | float) else value


class VerbGroup(click.Group):
    """The verbs of a command, and those that rooms above it add by entry points, imported when they are called.

    Args:
        more: The group of those entry points, without ``pilothouse.``.
    """

    def __init__(self, *args: Any, more: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._more = more

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        return sorted({*super().list_commands(ctx), *plugins.names(self._more)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one verb."""
        if cmd_name not in plugins.group(self._more):
            return super().get_command(ctx, cmd_name)
        found: click.Command = plugins.load(self._more, cmd_name)
        return found
