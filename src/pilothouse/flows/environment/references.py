"""Values that stand outside of a flow's file: ``${env:NAME}`` and ``${file:path}``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import ConfigError, FlowError
from pilothouse.core.yaml import load_yaml

_REFERENCE = re.compile(r"\$\{(?P<kind>env|file):(?P<name>[^}]+)\}")


def resolved(value: Any, folder: Path, environment: Mapping[str, str], where: str) -> Any:
    """Return ``value`` with references in it, at any depth, replaced; each is a whole text.

    A variable that is not set gives what stands behind a second colon (``${env:NAME:default}``), or leaves the
    reference as it stands, as prompt flow does. Files are read from the flow's folder; JSON and YAML are parsed, other
    files are text.

    Raises:
        FlowError: for a file that cannot be read.
    """
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return {key: resolved(item, folder, environment, where) for key, item in items.items()}
    if isinstance(value, list):
        return [resolved(item, folder, environment, where) for item in cast("list[Any]", value)]
    match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return value
    name = match["name"].strip()
    if match["kind"] == "file":
        return read_file(folder / name, where)
    name, _, default = name.partition(":")
    return environment.get(name, default or value)


def missing_variable(value: Any) -> str | None:
    """Return the name of the variable that a resolved value still refers to, or None."""
    match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return match["name"].strip().partition(":")[0] if match is not None and match["kind"] == "env" else None


def file_named(value: Any) -> str | None:
    """Return the path that a whole text refers to, or None."""
    match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return match["name"].strip() if match is not None and match["kind"] == "file" else None


def files_named(value: Any) -> Iterator[str]:
    """Return every path that ``value`` refers to."""
    if isinstance(value, dict):
        for item in cast("dict[str, Any]", value).values():
            yield from files_named(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from files_named(item)
    else:
        name = file_named(value)
        if name is not None:
            yield name


def read_file(path: Path, where: str) -> Any:
    """Return what a file holds.

    Raises:
        FlowError: when it is missing, not UTF-8, or not what its name says.
    """
    try:
        if path.suffix.lower() in {".yaml", ".yml"} and path.is_file():
            return load_yaml(path).data
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else text
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FlowError(
            f"the file {path} cannot be read: {reason}", where=where, expected="a file of the flow"
        ) from error
