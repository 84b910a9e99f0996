"""Ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import time
from datetime import datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26


def new_id(moment: datetime | None = None) -> str:
    """Return a new id: 26 lower-case letters and digits, sorted by millisecond (a ULID, github.com/ulid/spec).

    Args:
        moment: When what it names was made; now when absent.
    """
    milliseconds = time.time_ns() // 1_000_000 if moment is None else int(moment.timestamp() * 1000)
    value = milliseconds << 80 | secrets.randbits(80)
    letters = [ALPHABET[(value >> shift) & 31] for shift in range(0, LENGTH * 5, 5)]
    return "".join(reversed(letters))
