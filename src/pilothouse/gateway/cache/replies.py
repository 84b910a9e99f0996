"""The text of a kept answer, whatever its form, to compare it with another of the same form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.cache.types import CachedAnswer

_TEXTS: Final = frozenset({"content", "text", "delta", "arguments", "partial_json", "refusal"})


def reply_text(answer: CachedAnswer) -> str:
    """Return all text of an answer, in order; empty for one that has none or cannot be read."""
    lines = (
        [line[5:] for line in answer.body.split(b"\n") if line.startswith(b"data:")] if answer.stream else [answer.body]
    )
    texts: list[str] = []
    for line in lines:
        try:
            texts += _texts(msgspec.json.decode(line))
        except (msgspec.DecodeError, RecursionError):
            continue
    return "".join(texts)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if isinstance(item, str):
                if key in _TEXTS:
                    yield item
            else:
                yield from _texts(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)
