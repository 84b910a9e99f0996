"""What a provider's answer that says no has to say: its words, its code, how long to wait; whoever reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import msgspec

from pilothouse.models.secret import MASK, Secret, redact

SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes of an account without money: asking again does not help."""

_SHOWN: Final = 400
_LOOKED_AT: Final = 8192
_LONGEST_WAIT: Final = 86_400.0
_UNITS: Final = {"": 1.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d{1,18}(?:\.\d{1,18})?) ?(ms|s|)")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_EMPTY = re.compile(r"null|\[\s*\]|false|0")
_USER_INFO = re.compile(r"(\b\w{1,16}://)[^/@\s]+@")


def clean(text: str, secrets: Iterable[Secret]) -> str:
    """Return ``text`` short, on one line and without secrets."""
    text = _USER_INFO.sub(rf"\1{MASK}@", redact(text[:_LOOKED_AT], secrets))
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def decode(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a body, the first one of a list of them; None where there is none."""
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(data, list):
        data = next(iter(cast("list[Any]", data)), None)
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def describe(body: bytes) -> tuple[str, str]:
    """Return the provider's words and its error code, from JSON, HTML or plain text."""
    mapping = decode(body)
    if mapping is None:
        text = body[:_LOOKED_AT].decode("utf-8", errors="replace").strip()
        title = _TITLE.search(text)
        return (
            f"a web page, not an answer: {title[1]}" if title else ("" if _EMPTY.fullmatch(text) else text).strip('"')
        ), ""
    inner: Any = mapping.get("error") or mapping
    if not isinstance(inner, dict):
        return str(mapping.get("message") or inner), ""
    fields = cast("dict[str, Any]", inner)
    words = fields.get("message") or fields.get("detail") or fields.get("error_description") or fields
    return str(words), str(fields.get("code") or fields.get("type") or "")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds a provider asks to wait, a day at most.

    Read are `retry-after-ms`, and `Retry-After` in seconds, as a date or with a unit (``1.5s``, ``20ms``).
    """
    for name, unit in (("retry-after-ms", "ms"), ("retry-after", "")):
        seconds = duration(headers.get(name, ""), unit)
        if seconds is not None:
            return seconds
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):
        return None
    wait = (moment - now).total_seconds() if moment.tzinfo is not None else None
    return None if wait is None else min(max(wait, 0.0), _LONGEST_WAIT)


def duration(text: str, unit: str = "") -> float | None:
    """Return the seconds of a text such as ``12``, ``1.5s`` or ``20ms``, a day at most; None for any other.

    Args:
        text: The text.
        unit: What a bare number counts: ``s`` or ``ms``; empty for seconds.
    """
    match = _DURATION.fullmatch(text.strip())
    return min(float(match[1]) * _UNITS[match[2] or unit], _LONGEST_WAIT) if match else None
