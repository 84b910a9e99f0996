"""From what a row says of an image or a sound to its bytes, as flows treat it.

Recorded images are dicts such as ``{"data:image/png;base64": "..."}``, with ``;path`` or ``;url`` too; sounds are alike
with ``data:audio/wav``. Plain texts (a file of the project, a ``data:`` address, an address of the web) are media only
where the reader says so, and what is read must begin as an image or a sound does: no answer can have another file read
and sent away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

from msgspec import Struct

from pilothouse.core.errors import DataError
from pilothouse.flows.prompts.images import Image, load_image, load_images
from pilothouse.flows.prompty.parts import image_part, media_part
from pilothouse.models.types import AudioPart, ImagePart, Part

Kind = Literal["image", "audio"]

MOST_BYTES: Final = 20_000_000
"""Bytes of media that a row may hold."""

_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_SOUNDS = (b"RIFF", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"OggS", b"fLaC")
_SOUND = re.compile(r"data:(?P<type>audio/[\w.+-]+);(?P<form>path|base64)", re.IGNORECASE)


class Shown(Struct, frozen=True, kw_only=True):
    """A row whose media stand beside it.

    Attributes:
        material: The row, with a word such as ``(image 1)`` in each medium's place.
        media: Those words without brackets, with what they stand for, in order.
    """

    material: dict[str, Any]
    media: tuple[tuple[str, Part], ...] = ()


class Loader:
    """Finds the media of rows.

    Args:
        folder: The project's folder: files outside of it are refused.
        kinds: Arguments whose texts are files or addresses -> what they hold.
        most: Bytes of media that a row may hold.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, Kind] | None = None, most: int = MOST_BYTES) -> None:
        self._folder = folder
        self._kinds: dict[str, Kind] = dict(kinds or {})
        self._most = most

    def shown(self, row: Mapping[str, Any]) -> Shown:
        """Return a row with its media beside it.

        Raises:
            DataError: for a medium that cannot be read, lies outside of the folder, or is too big.
        """
        found: list[tuple[str, Part]] = []
        material = {name: self._walk(value, found) for name, value in self.loaded(row).items()}
        for word, part in found:
            _check(word, part)
        size = sum(len(data_of(part)) for _, part in found)
        if size > self._most:
            raise DataError(
                f"the row holds {size:,} bytes of images and sounds", expected=f"at most {self._most:,}",
                fix="make them smaller, or raise max_media_bytes",
            )  # fmt: skip
        return Shown(material=material, media=tuple(found))

    def loaded(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row whose media are loaded, each in its place.

        Raises:
            DataError: for a medium that cannot be read, or lies outside of the folder.
        """
        return {name: self._loaded(name, value) for name, value in row.items()}

    def _loaded(self, name: str, value: Any) -> Any:
        kind = self._kinds.get(name)
        if kind is not None and isinstance(value, list):
            return [self._one(kind, name, item) for item in cast("list[Any]", value)]
        return self._one(kind, name, value) if kind is not None else load_images(value, self._folder)

    def _one(self, kind: Kind, name: str, value: Any) -> Any:
        if value is None or isinstance(value, ImagePart | AudioPart):
            return value
        if kind == "image":
            return load_image(value, self._folder)
        return _sound(value, self._folder) or media_part("audio", value, name, self._folder)

    def _walk(self, value: Any, found: list[tuple[str, Part]]) -> Any:
        if isinstance(value, list):
            return [self._walk(item, found) for item in cast("list[Any]", value)]
        part = self._part(value)
        if part is not None:
            kind = "image" if isinstance(part, ImagePart) else "sound"
            word = f"{kind} {1 + sum(known.startswith(kind) for known, _ in found)}"
            found.append((word, part))
            return f"({word})"
        if isinstance(value, Mapping):
            return {key: self._walk(item, found) for key, item in cast("Mapping[Any, Any]", value).items()}
        return value

    def _part(self, value: Any) -> Part | None:
        if isinstance(value, Image):
            return image_part(value)
        if isinstance(value, ImagePart | AudioPart):
            return value
        return _sound(value, self._folder)


def image_bytes(value: Any, folder: Path) -> bytes:
    """Return the bytes of an image.

    Raises:
        DataError: when it cannot be read, or is an address of the web: no evaluator fetches anything.
    """
    image: Any = value if isinstance(value, Image) else load_image(value, folder)
    if not isinstance(image, Image) or not image:
        raise DataError("there are no bytes of the image", expected="a file of the project, or its bytes in base64")
    return bytes(image)


def sound_bytes(value: Any, folder: Path) -> bytes:
    """Return the bytes of a sound.

    Raises:
        DataError: when it cannot be read.
    """
    part = _sound(value, folder) or media_part("audio", value, "sound", folder)
    return data_of(part)


def frames_of(value: Any) -> Sequence[Any]:
    """Return the images of a list, or the one image that ``value`` is."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]


def data_of(part: Part) -> bytes:
    """Return the bytes of a medium; none of one that is known by its address alone."""
    return part.data or b"" if isinstance(part, ImagePart | AudioPart) else b""


def _check(word: str, part: Part) -> None:
    """Refuse bytes that are no image or sound.

    Raises:
        DataError: for such bytes.
    """
    data, known = data_of(part), _SOUNDS if isinstance(part, AudioPart) else _IMAGES
    if data and not data.startswith(known):
        raise DataError(f"{word} of the row is none: its bytes begin with {data[:8]!r}", expected="such as PNG or WAV")


def _sound(value: Any, folder: Path) -> Part | None:
    if not isinstance(value, dict) or len(cast("dict[str, Any]", value)) != 1:
        return None
    ((key, content),) = cast("dict[Any, Any]", value).items()
    match = _SOUND.fullmatch(str(key))
    if match is None or not isinstance(content, str):
        return None
    address = content if match["form"].lower() == "path" else f"data:{match['type']};base64,{content}"
    return media_part("audio", address, "sound", folder)
