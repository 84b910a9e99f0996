"""Plug-ins: entry points in the groups `pilothouse.<kind>`. Our own features enter by the same door."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pilothouse.core.errors import ConfigError, NotFound, nearest_hint

if TYPE_CHECKING:  # it brings the modules of e-mail and ZIP, which `--version` need not pay for
    from importlib.metadata import EntryPoint

_PREFIX = "pilothouse."


@lru_cache(maxsize=64)
def group(name: str) -> dict[str, EntryPoint]:
    """Return the entry points of the group ``pilothouse.<name>`` by their names.

    Raises:
        ConfigError: when two installed packages claim one name for different things.
    """
    found: dict[str, EntryPoint] = {}
    for point in _installed().get(f"{_PREFIX}{name}", ()):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigError(
                f"two installed packages offer the {name} '{point.name}': {other.value} and {point.value}",
                fix="uninstall one of the two packages",
            )
    return dict(sorted(found.items()))


@lru_cache(maxsize=1)
def _installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Return all that is offered to us by its group; to find it, a file of every installed package is read: once."""
    from importlib.metadata import entry_points

    found = entry_points()
    return {name: tuple(found.select(group=name)) for name in found.groups if name.startswith(_PREFIX)}


def names(kind: str) -> list[str]:
    """Return the names offered in a group, sorted."""
    return list(group(kind))


def load(kind: str, name: str) -> Any:
    """Return the object behind one name of a group.

    Raises:
        NotFound: when nothing offers the name.
        ConfigError: when the plug-in cannot be imported.
    """
    points = group(kind)
    if name not in points:
        raise NotFound(f"there is no {kind.rstrip('s')} '{name}'", expected=nearest_hint(name, points))
    try:
        return points[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the plug-in '{name}' of {kind} cannot be imported: {error}", where=points[name].value
        ) from error


def load_all(kind: str) -> dict[str, Any]:
    """Return every object of a group by its name."""
    return {name: load(kind, name) for name in group(kind)}
