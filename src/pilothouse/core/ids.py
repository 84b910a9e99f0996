"""Ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26


def new_id() -> str:
    """Return a new id: 26 lower-case letters and digits, sorted by millisecond (a ULID, github.com/ulid/spec)."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    letters = [ALPHABET[(value >> shift) & 31] for shift in range(0, LENGTH * 5, 5)]
    return "".join(reversed(letters))
