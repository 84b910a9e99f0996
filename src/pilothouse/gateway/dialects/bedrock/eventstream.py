"""Amazon's framing of a stream, `application/vnd.amazon.eventstream`: prelude, headers, payload, two checksums."""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

from msgspec import Struct

MAX_FRAME: Final = 16 << 20
"""Bytes of one frame; beyond that the stream is broken or hostile."""

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM: Final = struct.Struct(">I")
_LENGTH: Final = struct.Struct(">H")
_LEAST: Final = _PRELUDE.size + _CHECKSUM.size
_TEXT: Final = 7
_BYTES: Final = 6
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its kind; texts and byte strings tell their own length."""


class Frame(Struct, frozen=True):
    """One frame.

    Attributes:
        headers: Those whose value is a text.
        payload: The bytes inside.
    """

    headers: dict[str, str]
    payload: bytes


class FrameParser:
    """Turns bytes, as they arrive, into frames whose checksums hold."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that the bytes complete.

        Raises:
            ValueError: for a checksum or a length that cannot be right.
        """
        self._rest += data
        rest = self._rest
        frames: list[Frame] = []
        start = 0
        while len(rest) - start >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(rest, start)
            if crc32(rest[start : start + 8]) != checksum:
                raise ValueError("the stream is not in Amazon's framing: the checksum of a frame's head is wrong")
            if not _LEAST + headers <= total <= MAX_FRAME:
                raise ValueError(f"a frame of the stream says that it is {total} bytes long")
            if len(rest) - start < total:
                break
            frames.append(_frame(bytes(rest[start : start + total]), headers))
            start += total
        del rest[:start]
        return frames

    @property
    def is_torn(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._rest)


def _frame(data: bytes, headers: int) -> Frame:
    if crc32(data[:-4]) != _CHECKSUM.unpack_from(data, len(data) - 4)[0]:
        raise ValueError("the checksum of a frame of the stream is wrong")
    end = _PRELUDE.size + headers
    try:
        return Frame(_headers(data[_PRELUDE.size : end]), data[end:-4])
    except (struct.error, IndexError, KeyError, UnicodeDecodeError):
        raise ValueError("the headers of a frame of the stream cannot be read") from None


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(data):
        size = data[place]
        name = data[place + 1 : place + 1 + size].decode()
        place += 1 + size
        kind = data[place]
        place += 1
        if kind in {_TEXT, _BYTES}:
            (length,) = _LENGTH.unpack_from(data, place)
            place += _LENGTH.size
        else:
            length = _SIZES[kind]
        if place + length > len(data):
            raise IndexError(name)
        if kind == _TEXT:
            found[name] = data[place : place + length].decode()
        place += length
    return found
