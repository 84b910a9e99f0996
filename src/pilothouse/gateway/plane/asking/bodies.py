"""Bodies that pass untranslated: JSON spliced at its first level, forms of several parts at one field."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pilothouse.gateway.dialects.codecs import codec, has_codec
from pilothouse.gateway.dialects.interface import Splice
from pilothouse.gateway.types import Body, Wire

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Body).decode
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_LONGEST_NAME: Final = 512


def decode_body(raw: bytes) -> Body:
    """Return a JSON object decoded one level deep.

    Raises:
        ValueError: for anything else, and for text that is not UTF-8 anywhere in it.
    """
    if not raw.isascii():
        raw.decode()
    try:
        return _decode(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def spliced(body: Body | None, raw: bytes, wire: Wire, splice: Splice, content_type: str) -> bytes:
    """Return the body to be sent on, with the changes.

    Raises:
        ValueError: where a form of several parts does not name its model.
    """
    if body is None:
        is_form = splice.model is not None and content_type.startswith("multipart/") and wire != "openai.raw"
        return _with_model(raw, splice.model or "", content_type) if is_form else raw
    if has_codec(wire):
        return codec(wire).splice(body, splice)
    if splice.model is None:
        return _encode(body)  # of two equal names, the one that was looked at
    return _encode({**body, "model": msgspec.Raw(_encode(splice.model))})


def model_of_form(raw: bytes, content_type: str) -> str:
    """Return the model that a form of several parts names.

    Raises:
        ValueError: where it names none.
    """
    begin, end = _model_part(raw, content_type)
    return raw[begin:end].decode()


def _with_model(raw: bytes, model: str, content_type: str) -> bytes:
    begin, end = _model_part(raw, content_type)
    return raw[:begin] + model.encode() + raw[end:]


def _model_part(raw: bytes, content_type: str) -> tuple[int, int]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("the body is neither JSON nor a form of several parts (multipart/form-data with a boundary)")
    mark = b"--" + boundary[1].encode()
    at = raw.find(mark)
    while at >= 0:
        head_end = raw.find(b"\r\n\r\n", at)
        next_mark = raw.find(b"\r\n" + mark, at + len(mark))
        if head_end < 0 or next_mark < 0:
            break
        head = raw[at:head_end]
        if (
            re.search(rb'[; ]name="?model"?(?:[;\r]|$)', head)
            and head_end + 4 <= next_mark <= head_end + 4 + _LONGEST_NAME
        ):
            return head_end + 4, next_mark
        at = next_mark + 2
    raise ValueError("'model': the form has no such part")
