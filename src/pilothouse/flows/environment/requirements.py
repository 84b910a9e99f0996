"""The packages that a flow asks for in its `requirements.txt`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.flows.types import Flow

FILE: Final = "requirements.txt"

# What stands in for these is here already; the flow's own code imports it under their name.
ANSWERED: Final = ("promptflow", "promptflow-core", "promptflow-devkit", "promptflow-tools", "promptflow-tracing")

_NAME = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@(,]|$)")
_COMMENT = re.compile(r"(^|\s)#.*")
_NESTED = re.compile(r"(?:-r|--requirement)[=\s]+(?P<path>.+)")
_HASH = re.compile(r"\s--hash[=\s]\S+")


class RequirementLine(Struct, frozen=True, kw_only=True):
    """One line of a requirements file.

    Attributes:
        text: The line, without comment and hashes.
        name: The package's name, in its normal form; empty for an option, a path or an address.
        where: ``file:line``.
    """

    text: str
    name: str
    where: str

    @property
    def is_answered_here(self) -> bool:
        """Whether it is a part of prompt flow, which is not needed."""
        return self.name in ANSWERED


def requirements_file(flow: Flow) -> Path | None:
    """Return the flow's file of requirements: the one it names, else `requirements.txt` beside it, else None."""
    named = flow.environment.python_requirements_txt
    path = flow.folder / (named or FILE)
    return path if (named or flow.kind in {"dag", "flex"}) and path.is_file() else None


def read_requirements(path: Path) -> tuple[RequirementLine, ...]:
    """Return the lines of a requirements file, those of the files that it names included.

    Raises:
        FlowError: when a file cannot be read.
    """
    return tuple(_read(path.resolve(), ()))


def _read(path: Path, above: tuple[Path, ...]) -> list[RequirementLine]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FlowError(f"the requirements cannot be read: {error}", where=str(path), expected="a text file") from error
    found: list[RequirementLine] = []
    number = 1
    # A line that ends in a backslash goes on: its lines are one, at the place of the first.
    for joined in re.split(r"(?<!\\)\n", text):
        where = f"{path}:{number}"
        number += joined.count("\n") + 1
        line = _HASH.sub("", _COMMENT.sub("", joined.replace("\\\n", " "))).strip()
        nested = _NESTED.fullmatch(line)
        if nested is not None:
            inner = (path.parent / nested["path"].strip()).resolve()
            found += _read(inner, (*above, path)) if inner not in (*above, path) else []
        elif line:
            match = _NAME.match(line)
            found.append(RequirementLine(text=line, name=normal_name(match["name"]) if match else "", where=where))
    return found


def normal_name(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_version(name: str) -> str | None:
    """Return the version of a package that is installed here, or None."""
    # Slow to import, and of no use to a flow without requirements.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
