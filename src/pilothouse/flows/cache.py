"""The cache of node results: what it is asked for, and what it keeps."""

from __future__ import annotations

from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct

from pilothouse.core.canonical import canonical_json, digest
from pilothouse.core.errors import DataError
from pilothouse.models.types import Usage


class NodeCache(Protocol):
    """Keeps answers by key; its own failures must not reach the line, so it answers None instead."""

    async def get(self, key: str) -> bytes | None:
        """Return what is kept under ``key``."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep ``value`` under ``key``."""
        ...


class CachedAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a node's answer: its output, and what it cost when it was made."""

    output: Any = None
    usage: Usage | None = None
    provider: str | None = None
    model: str | None = None


_decoder = msgspec.json.Decoder(CachedAnswer)


def cache_key(fingerprint: str, rendered: object, repeat: int) -> str | None:
    """Return the key of one answer, or None when the inputs have no JSON form and the answer cannot be cached.

    Args:
        fingerprint: Of the node: code, template, connection without secrets.
        rendered: What is sent: the request, or the inputs of a python tool.
        repeat: Number of the repetition, so that repeated runs of a line stay apart.
    """
    try:
        return digest([fingerprint, rendered, repeat])
    except DataError:
        return None


def encode_answer(answer: CachedAnswer) -> bytes | None:
    """Return the answer as bytes, or None when reading them back would not give the same output."""
    try:
        data = canonical_json(answer)
    except DataError:
        return None
    # A tuple would come back as a list, a number as a text key: such answers are made again each time.
    return data if _same(_decoder.decode(data).output, answer.output) else None


def decode_answer(data: bytes) -> CachedAnswer | None:
    """Return the answer, or None when the bytes are not one."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        items = cast("dict[Any, Any]", left)
        return items.keys() == right.keys() and all(_same(item, right[key]) for key, item in items.items())
    if isinstance(left, list):
        members = cast("list[Any]", left)
        return len(members) == len(right) and all(map(_same, members, right))
    return bool(left == right)
