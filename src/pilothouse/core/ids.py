"""Ids that sort by the time they were made."""

from __future__ import annotations

import os
import random
import time
from datetime import datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26

_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)

# Ids must differ, not be unguessable: asking the system for each costs more than all the rest. A generator of our own,
# since the user's code may seed the shared one; a forked child must not repeat its parent's.
_dice = random.Random()  # noqa: S311  no secret is made of it
os.register_at_fork(after_in_child=_dice.seed)


def new_id(moment: datetime | None = None) -> str:
    """Return a new id: 26 lower-case letters and digits, sorted by millisecond (a ULID, github.com/ulid/spec).

    Args:
        moment: When what it names was made; now when absent.
    """
    milliseconds = time.time_ns() // 1_000_000 if moment is None else int(moment.timestamp() * 1000)
    value = milliseconds << 80 | _dice.getrandbits(80)
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
