"""What an environment installs: a conda environment, and the dependencies of a `pyproject.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from pilothouse.core.errors import ConfigError
from pilothouse.core.yaml import Document
from pilothouse.experiments.migration.checks.flows import refusal
from pilothouse.experiments.migration.checks.modules import REQUIREMENTS
from pilothouse.experiments.migration.checks.yaml_words import read_text
from pilothouse.experiments.migration.types import Finding, change, note

_NAME = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_OLD_PYTHON = re.compile(r"python\s*=+\s*(?P<version>3\.(?:[0-9]|10))(?:\.|\s*$)")
_OLDEST: Final = "3.11"


def check_conda(document: Document) -> Iterator[Finding]:
    """Yield what a conda environment installs that nothing here needs, and a Python that is too old."""
    data = cast("dict[str, Any]", document.data)
    for place, item in enumerate(_list(data.get("dependencies"))):
        line = document.line("dependencies", place)
        if isinstance(item, dict):
            for inner, text in enumerate(_list(cast("dict[str, Any]", item).get("pip"))):
                yield from _needless(str(text), document.line("dependencies", place, "pip", inner))
            continue
        old = _OLD_PYTHON.match(str(item))
        if old:
            yield change(f"installs Python {old['version']}", f"take Python {_OLDEST} or later", line)
        yield from _needless(str(item), line)


def check_pyproject(path: Path) -> Iterator[Finding]:
    """Yield the dependencies of a project that nothing here needs."""
    try:
        text = read_text(path)
        data = tomllib.loads(text)
    except ConfigError as error:
        yield refusal(error, path)
        return
    except tomllib.TOMLDecodeError as error:
        yield change(f"this is not TOML: {error}", "mend the file")
        return
    lines = text.splitlines()
    for item in _dependencies(data):
        number = next((number for number, line in enumerate(lines, 1) if item in line), None)
        yield from _needless(item, number)


def _dependencies(data: dict[str, Any]) -> Iterator[str]:
    project = _table(data.get("project"))
    yield from map(str, _list(project.get("dependencies")))
    for group in _table(project.get("optional-dependencies")).values():
        yield from map(str, _list(group))
    for group in _table(data.get("dependency-groups")).values():
        yield from (item for item in _list(group) if isinstance(item, str))
    poetry = _table(_table(data.get("tool")).get("poetry"))
    yield from _table(poetry.get("dependencies"))


def _needless(text: str, line: int | None) -> Iterator[Finding]:
    match = _NAME.match(text)
    name = re.sub(r"[_.-]+", "-", match["name"]).lower() if match else ""
    if name in REQUIREMENTS:
        yield note(f"'{name}': {REQUIREMENTS[name]}", line, "remove it when no file imports it any longer")


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
