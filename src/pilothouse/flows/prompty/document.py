"""A prompty's file: front matter between two lines of dashes, and the template behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.core.yaml import Document, Key, parse_yaml
from pilothouse.flows.environment.references import file_named, read_file

_FENCE = re.compile(r"(?:-{3,}|\+{3,})\s*")


class Source(Struct, frozen=True):
    """What a prompty's file holds.

    Attributes:
        front: Its front matter, with the lines of the file and the contents of the files that it refers to.
        template: The text behind it.
        line: Lines before the template.
        files: The files that the front matter takes contents from.
    """

    front: Document
    template: str
    line: int
    files: tuple[Path, ...] = ()


def read_source(path: Path) -> Source:
    """Read a prompty's file. The first line of dashes behind the front matter ends it: later ones are text.

    Raises:
        FlowError: when it is not UTF-8, has no front matter, or refers to a file that cannot be read.
        ConfigError: when the front matter is not YAML.
    """
    lines = _text(path).split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not _FENCE.fullmatch(lines[first].strip()):
        raise FlowError(
            "a prompty begins with its front matter", where=f"{path}:{first + 1}", expected="--- on the first line"
        )
    last = next((number for number in range(first + 1, len(lines)) if _FENCE.fullmatch(lines[number])), None)
    if last is None:
        raise FlowError(
            "the front matter does not end", where=f"{path}:{first + 1}", expected="a second line --- above the prompt"
        )
    template = "\n".join(lines[last + 1 :])
    # Empty lines in place of what stands above keep the numbers of the lines.
    front = parse_yaml("\n" * (first + 1) + "\n".join(lines[first + 1 : last]), path)
    files: dict[Path, None] = {}
    front.data = _with_files(front, front.data, (), files)
    return Source(front, template, last + 1, tuple(files))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise FlowError(f"the prompty cannot be read: {error.strerror}", where=str(path)) from error


def _with_files(front: Document, value: Any, keys: tuple[Key, ...], files: dict[Path, None]) -> Any:
    """Return a value in which each ``${file:path}`` is what that file holds; ``files`` gets their paths."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: _with_files(front, item, (*keys, key), files) for key, item in items}
    if isinstance(value, list):
        entries = enumerate(cast("list[Any]", value))
        return [_with_files(front, item, (*keys, index), files) for index, item in entries]
    name = file_named(value)
    if name is None:
        return value
    path = front.path.parent / name
    files[path] = None
    return read_file(path, front.where(*keys))
