"""A group of commands that imports a command only when it is called."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilothouse.core import plugins
from pilothouse.core.errors import nearest_hint

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Commands that work and are not listed: they are for other people's habits.
HIDDEN = frozenset({"pf"})

PACKAGE = Path(__file__).parents[1]
_DOCSTRING = re.compile(r'(?:#.*\n|\s)*"""(?P<line>.*)')


class LazyGroup(click.Group):
    """Commands from an entry-point group; each one's help line is its module's docstring, read, not imported."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all installed commands."""
        return plugins.names(self._group)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in plugins.group(self._group):
            return None
        command: click.Command = plugins.load(self._group, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; an unknown one is answered with the nearest."""
        name = args[0]
        if not name.startswith("-") and name not in plugins.group(self._group):
            ctx.fail(f"There is no command '{name}': {nearest_hint(name, plugins.names(self._group))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        points = plugins.group(self._group)
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(point)) for name, point in points.items() if name not in HIDDEN])


def _summary(point: EntryPoint) -> str:
    source = _source(point.module)
    if source is None:
        return ""
    opening = _DOCSTRING.match(source.read_text(encoding="utf-8"))
    return opening["line"].rstrip('"') if opening else ""


def _source(module: str) -> Path | None:
    package, *rest = module.split(".")
    if package == PACKAGE.name:
        # Our own file is beside us: looking it up would import its room.
        return PACKAGE.joinpath(*rest).with_suffix(".py")
    spec = find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
