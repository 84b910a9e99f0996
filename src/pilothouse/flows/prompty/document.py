"""A prompty's file: front matter between two lines of dashes, and the template behind it."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.core.yaml import Document, parse_yaml

_DASHES = re.compile(r"-{3,}\s*")


class Source(Struct, frozen=True):
    """What a prompty's file holds.

    Attributes:
        front: Its front matter, with the lines of the file.
        template: The text behind it.
        line: Lines before the template.
    """

    front: Document
    template: str
    line: int


def read_source(path: Path) -> Source:
    """Read a prompty's file. The first line of dashes behind the front matter ends it: later ones are text.

    Raises:
        FlowError: when it is not UTF-8, or has no front matter.
        ConfigError: when the front matter is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise FlowError(f"the prompty cannot be read: {error.strerror}", where=str(path)) from error
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not _DASHES.fullmatch(lines[first]):
        raise FlowError(
            "a prompty begins with its front matter", where=f"{path}:{first + 1}", expected="--- on the first line"
        )
    last = next((number for number in range(first + 1, len(lines)) if _DASHES.fullmatch(lines[number])), None)
    if last is None:
        raise FlowError(
            "the front matter does not end", where=f"{path}:{first + 1}", expected="a second line --- above the prompt"
        )
    # Empty lines in place of what stands above keep the numbers of the lines.
    front = parse_yaml("\n" * (first + 1) + "\n".join(lines[first + 1 : last]), path)
    return Source(front, "\n".join(lines[last + 1 :]), last + 1)
