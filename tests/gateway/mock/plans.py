"""An answer as bytes: what is written, when, and what each piece of it is charged for."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .bill import Used

Frame = tuple[bytes, int]
"""One event of a stream as it is written, and the tokens in it."""


class Plan(Struct, frozen=True, kw_only=True):
    """How a request is answered, before faults.

    Attributes:
        body: Of an answer that is no stream.
        frames: Of a stream; None for no stream.
        used: What the whole of it is charged for.
        media: Content type.
        headers: Further ones.
        thoughts: How many of a stream's tokens are thoughts; they come first.
    """

    body: bytes = b""
    frames: tuple[Frame, ...] | None = None
    used: Used
    media: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    thoughts: int = 0


encode = msgspec.json.encode


def data(value: Any) -> bytes:
    """Return an event of OpenAI's streams."""
    return b"data: " + encode(value) + b"\n\n"


def event(name: str, value: Any) -> bytes:
    """Return a named event, as of Anthropic's streams and OpenAI's responses."""
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"
