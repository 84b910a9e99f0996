"""What MLflow takes: names of few characters, values of some length, so much in one request."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from pilothouse.core.canonical import digest
from pilothouse.experiments.reports.exports.records import whole

MOST_NAME: Final = 250
MOST_PARAM: Final = 6000
MOST_TAG: Final = 5000
MOST_PARAMS: Final = 100
MOST_METRICS: Final = 500

_ODD: Final = re.compile(r"[^\w./ -]", re.ASCII)
_ODD_PROMPT: Final = re.compile(r"[^\w.-]", re.ASCII)
_MARK: Final = 8

T = TypeVar("T")


def entry_name(text: str) -> str:
    """Return the name of a param, metric or tag; one that had to change ends with a mark, so that none coincide."""
    made = _ODD.sub("_", text)
    if made.startswith("/") or posixpath.normpath(made) != made:
        made = made.replace("/", "_").lstrip(".")
    return _marked(text, made)


def prompt_name(text: str) -> str:
    """Return the name of a prompt or a model in the registry."""
    return _marked(text, _ODD_PROMPT.sub("_", text))


def shortened(text: str, most: int) -> str:
    """Return a value that fits, with a mark of the whole where it had to be cut."""
    text = whole(text)
    if len(text) <= most:
        return text
    tail = f"… sha256 {digest(text)}"
    return text[: most - len(tail)] + tail


def too_long(params: Mapping[str, str]) -> dict[str, str]:
    """Return the params whose values do not fit."""
    return {name: value for name, value in params.items() if len(value) > MOST_PARAM}


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    found = list(items)
    for start in range(0, len(found), size):
        yield found[start : start + size]


def _marked(text: str, made: str) -> str:
    if made == text and len(made) <= MOST_NAME:
        return made
    return f"{made[: MOST_NAME - _MARK - 1]}-{digest(text)[:_MARK]}"
