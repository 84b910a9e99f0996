"""In which order items come, and which answer of a pair stands first: by chance, and the same again for one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from pilothouse.evaluation.annotation.question import Side
from pilothouse.evaluation.annotation.types import Item

_BLOCKS: Final = ("CCBB", "CBCB", "CBBC", "BCCB", "BCBC", "BBCC")
_SIZE = 4


def shuffled(items: Iterable[Item], seed: int) -> list[Item]:
    """Return items in an order that nothing of them decides but their ids."""
    return sorted(items, key=lambda item: chance(seed, "order", item.id))


def first_side(seed: int, reviewer: str, place: int) -> Side:
    """Return which side of a pair a reviewer sees as answer 1.

    Of four places in a row each side stands first in two, so that the balance holds wherever a reviewer stops; which
    two is drawn for each reviewer and block.
    """
    block = _BLOCKS[chance(seed, "sides", reviewer, place // _SIZE) % len(_BLOCKS)]
    return "candidate" if block[place % _SIZE] == "C" else "baseline"


def chance(*what: object) -> int:
    """Return a number that is the same for the same things, and tells nothing of them."""
    text = "\0".join(map(str, what))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:8])
