"""Images in flow inputs and outputs, in prompt flow's two message formats."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any, Self, cast

from pilothouse.core.canonical import digest_bytes
from pilothouse.core.errors import DataError

_KEY = re.compile(r"data:(?P<type>image/[a-z0-9.+*-]+);(?P<form>path|base64|url)", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_DATA_URL = re.compile(r"data:(?P<type>image/[a-z0-9.+*-]+);base64,(?P<data>.*)", re.IGNORECASE | re.DOTALL)
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


class Image(bytes):
    """The bytes of an image; empty when only its address is known.

    Its text form is a digest: a line of a rendered template that consists of it becomes an image part.
    """

    mime_type: str
    source_url: str | None

    def __new__(cls, value: bytes = b"", mime_type: str | None = None, source_url: str | None = None) -> Self:
        """Make it of bytes, or of an address alone; the type is told by the bytes where it is not given."""
        made = super().__new__(cls, value)
        made.mime_type = mime_type or _sniff(value)
        made.source_url = source_url
        return made

    @property
    def _mime_type(self) -> str:
        # Prompt flow's images have their type here, and its users' tools read it.
        return self.mime_type

    def __str__(self) -> str:
        return digest_bytes(self or (self.source_url or "").encode())[:32]

    __repr__ = __str__

    def to_base64(self, with_type: bool = False) -> str:
        """Return the bytes in base64; as a ``data:`` address ``with_type``."""
        text = base64.b64encode(self).decode("ascii")
        return f"data:{self.mime_type};base64,{text}" if with_type else text

    def to_dict(self) -> dict[str, str]:
        """Return prompt flow's JSON form of the image."""
        if self.source_url is not None:
            return {f"data:{self.mime_type};url": self.source_url}
        return {f"data:{self.mime_type};base64": self.to_base64()}


def load_image(value: Any, folder: Path) -> Any:
    """Return the image that ``value`` describes: a dict of prompt flow, an address, base64 or a file of the flow.

    Raises:
        DataError: when it cannot be read, or names a file outside the flow's folder.
    """
    if value is None or isinstance(value, Image):
        return value
    if isinstance(value, dict):
        image = _from_dict(cast("dict[str, Any]", value), folder)
        if image is not None:
            return image
        raise DataError("this is not an image", expected='{"data:image/png;path": "cat.png"}, or ;base64 or ;url')
    text = str(value)
    data_url = _DATA_URL.fullmatch(text)
    if data_url:
        return Image(_decode(data_url["data"]), data_url["type"])
    if _ADDRESS.fullmatch(text):
        return Image(source_url=text)
    # A short file name may be base64 by accident: a file that is there comes first.
    if not _is_file(folder, text):
        try:
            data = base64.b64decode(text, validate=True)
            return Image(data, _sniff(data))
        except (binascii.Error, ValueError):
            pass
    return _from_file(text, folder, None)


def load_images(value: Any, folder: Path) -> Any:
    """Return ``value`` with every image described anywhere inside it loaded."""
    if isinstance(value, list):
        return [load_images(item, folder) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        image = _from_dict(found, folder)
        return image if image is not None else {key: load_images(item, folder) for key, item in found.items()}
    return value


def plain(value: Any) -> Any:
    """Return ``value`` with every image inside it in its JSON form."""
    if isinstance(value, Image):
        return value.to_dict()
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _from_dict(value: dict[str, Any], folder: Path) -> Image | None:
    if len(value) == 1:
        key, content = next(iter(value.items()))
        match = _KEY.fullmatch(str(key))
        if match and isinstance(content, str):
            form, media_type = match["form"].lower(), match["type"]
            if form == "url":
                return Image(mime_type=media_type, source_url=content)
            return _from_file(content, folder, media_type) if form == "path" else Image(_decode(content), media_type)
    kind = value.get("type")
    inner: Any = value.get(kind) if kind in {"image_url", "image_file"} else None
    if isinstance(inner, dict):
        fields = cast("dict[str, Any]", inner)
        if "url" in fields:
            return load_image(fields["url"], folder)
        if "path" in fields:
            return _from_file(str(fields["path"]), folder, None)
    return None


def _from_file(name: str, folder: Path, media_type: str | None) -> Image:
    try:
        path = (folder / name).resolve()
        # A row of data must not be able to send any file of the machine to a model.
        if not path.is_relative_to(folder.resolve()):
            raise DataError(
                f"the image '{name}' is outside the flow's folder", expected="a file inside the flow's folder"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"the image '{name[:80]}' cannot be read", expected=f"a file below {folder}") from error
    return Image(data, media_type or _sniff(data))


def _is_file(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):
        return False


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError("the image is not valid base64") from error


def _sniff(data: bytes) -> str:
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "image/png")
