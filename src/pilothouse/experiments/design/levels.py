"""The section `axes` of an experiment file, read: each axis a list of values, named bundles of settings, or a range."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, cast

from pilothouse.core.errors import ConfigError
from pilothouse.core.structs import convert
from pilothouse.experiments.design.axes import Axis, Level, Range, identity

Where = Callable[..., str]

AXES = "axes"
_SHORT = {"temperature": "t"}
_RANGE = frozenset(Range.__struct_fields__)
_WORD = re.compile(r"[\w][\w./:@-]{0,39}")
_FILE = re.compile(r"\.(jinja2|jinja|j2|md|txt|py|prompty)$")


def read_axes(given: Mapping[str, Sequence[Any] | Mapping[str, Any]], where: Where) -> tuple[Axis, ...]:
    """Return the axes of a file, in its order.

    Raises:
        ConfigError: an axis without levels, with two that are the same, with a range that is none, or two axes that
            set the same.
    """
    axes = tuple(_axis(name, value, partial(where, AXES, name)) for name, value in given.items())
    owners: dict[str, str] = {}
    for axis in axes:
        for path in sorted(axis.paths):
            other = owners.setdefault(path, axis.name)
            if other != axis.name:
                raise ConfigError(
                    f"the axes '{other}' and '{axis.name}' both set '{path}'",
                    where=where(AXES, axis.name),
                    fix="let one axis set it, or put what belongs together into the levels of one",
                )
    return axes


def _axis(name: str, value: Sequence[Any] | Mapping[str, Any], where: Where) -> Axis:
    if (
        isinstance(value, Mapping)
        and _RANGE & value.keys()
        and not any(isinstance(item, dict) for item in value.values())
    ):
        return _range(name, value, where)
    levels = _bundles(name, value, where) if isinstance(value, Mapping) else _values(name, value)
    if not levels:
        raise ConfigError(f"the axis '{name}' has no level", where=where(), expected="a list of values")
    seen: dict[bytes, Level] = {}
    for place, level in enumerate(levels):
        twin = seen.setdefault(identity(level.content), level)
        if twin is not level:
            at = (level.name,) if isinstance(value, Mapping) else (place,)
            raise ConfigError(f"'{level.name}' is the same level as '{twin.name}'", where=where(*at))
    return Axis(name=name, levels=levels, base=levels[0], short=short(name), keys=(AXES, name))


def _range(name: str, value: Mapping[str, Any], where: Where) -> Axis:
    if "." not in name:
        raise ConfigError(
            f"'{name}' is no setting that numbers could be drawn for", where=where(), expected="node.setting"
        )
    found = convert(dict(value), Range, where=where)
    fault = found.fault()
    if fault is not None:
        raise ConfigError(fault, where=where())
    first = found.first
    whole = int(first) if first is not None and found.integer and first.is_integer() else first
    text = "default" if whole is None else f"{whole:g}"
    base = Level(name=f"{short(name)}={text}", full=f"{name}={text}", settings={} if whole is None else {name: whole})
    return Axis(name=name, base=base, short=short(name), range=found, keys=(AXES, name))


def _bundles(name: str, value: Mapping[str, Any], where: Where) -> tuple[Level, ...]:
    found: list[Level] = []
    for level, content in value.items():
        if not isinstance(content, dict):
            raise ConfigError(
                f"the level '{level}' of '{name}' is {content!r}",
                where=where(level),
                expected="a mapping of what it sets: {node.setting: value}; or a list of values for one setting",
            )
        choices, settings = divided(cast("dict[str, Any]", content))
        found.append(Level(name=level, full=f"{name}.{level}", choices=choices, settings=settings))
    return tuple(found)


def _values(name: str, values: Sequence[Any]) -> tuple[Level, ...]:
    if "." not in name:
        return tuple(Level(name=str(value), full=f"{name}.{value}", choices={name: str(value)}) for value in values)
    texts = [_text(value) for value in values]
    clear = [count == 1 for count in map(Counter(texts).__getitem__, texts)]
    found: list[Level] = []
    for place, value in enumerate(values):
        text = texts[place]
        if text is None or not clear[place]:
            text = value if isinstance(value, str) and _WORD.fullmatch(value) else f"#{place + 1}"
        speaks = isinstance(value, str) and not text.startswith("#")
        own = text if speaks else f"{short(name)}{'' if text.startswith('#') else '='}{text}"
        full = f"{name}={text}"
        found.append(Level(name=own, full=full, settings={name: value}))
    return tuple(found)


def divided(content: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the variants and the settings among what a level sets: a path has a dot, the name of a node has none."""
    choices = {path: str(value) for path, value in content.items() if "." not in path}
    return choices, {path: value for path, value in content.items() if "." in path}


def short(path: str) -> str:
    """Return what stands for a path in the names of arms."""
    last = path.rpartition(".")[2]
    return _SHORT.get(last, last)


def _text(value: Any) -> str | None:
    """Return a value as it may stand in a name; None when it is too long or has parts."""
    if isinstance(value, str):
        text = PurePosixPath(value).stem if _FILE.search(value) else value
        return text if _WORD.fullmatch(text) else None
    return None if isinstance(value, dict | list) else json.dumps(value)
