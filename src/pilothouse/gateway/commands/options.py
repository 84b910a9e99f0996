"""What the gateway's commands have in common: options, and how times, money and shares are typed and shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from pilothouse.core.errors import UserError
from pilothouse.gateway.types import NANO

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN: Final = re.compile(r"([0-9]{1,5})([smhdw])")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN_WORDS: Final = "a number and s, m, h, d or w, as 30d"

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def span(text: str, where: str) -> timedelta:
    """Return a length of time such as ``30d``.

    Raises:
        UserError: when it is none.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise UserError(f"'{text}' is no length of time", where=where, expected=_SPAN_WORDS)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def moment(text: str, where: str, now: datetime, *, ahead: bool) -> datetime:
    """Return a moment: ``30d`` from now (or ago), a day, which begins in UTC, or a time with its zone.

    Args:
        text: As typed.
        where: The option, for messages.
        now: Now.
        ahead: Whether a length of time leads into the future.

    Raises:
        UserError: when it is none.
    """
    if _SPAN.fullmatch(text.strip()):
        length = span(text, where)
        return now + length if ahead else now - length
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is not None and found.tzinfo is None and _DAY.fullmatch(text.strip()):
        found = found.replace(tzinfo=UTC)
    if found is None or found.tzinfo is None:
        expected = f"{_SPAN_WORDS}, a day as 2027-01-31, or a time with its zone as 2027-01-31T12:00Z"
        raise UserError(f"'{text}' is no moment", where=where, expected=expected)
    return found.astimezone(UTC)


def nanoseconds(when: datetime) -> int:
    """Return nanoseconds since 1970."""
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000


def shown_moment(when: datetime | None) -> str:
    """Return a moment to the minute in UTC; nothing for none."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}" if when is not None else ""


def dollars(nano: int | None) -> str:
    """Return money for people: at least two decimals, at most nine, exact; a question mark where it is not known."""
    if nano is None:
        return "?"
    sign, size = "-" if nano < 0 else "", abs(nano)
    fraction = f"{size % NANO:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${size // NANO:,}.{fraction}"


def seconds(nano: int) -> str:
    """Return a duration of nanoseconds for people."""
    if nano < 1_000_000:
        return f"{nano / 1000:.0f} us"
    return f"{nano / 1e6:.0f} ms" if nano < 10_000_000_000 else f"{nano / 1e9:.1f} s"


def pairs(given: tuple[str, ...], where: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` arguments as a mapping.

    Raises:
        UserError: for one without a name, or a name that is given twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals or not name or name in found:
            raise UserError(f"'{text}' cannot be used", where=where, expected="NAME=VALUE, each name once")
        found[name] = value
    return found


def shares(given: tuple[str, ...], where: str) -> dict[str, float]:
    """Return ``NAME=WEIGHT`` arguments as a mapping.

    Raises:
        UserError: for what is no number of 0 or more.
    """
    found: dict[str, float] = {}
    for name, text in pairs(given, where).items():
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] < float("inf"):
            raise UserError(f"'{text}' is no weight", where=f"{where} {name}", expected="a number, 0 or more")
    return found
