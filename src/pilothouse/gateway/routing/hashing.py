"""Chance that can be repeated: numbers drawn from names by a hash, the same in every process and on every machine."""

from __future__ import annotations

from hashlib import blake2b
from math import log
from typing import Final

_SCALE: Final = 1.0 / (1 << 52)


def fraction(salt: str, name: str) -> float:
    """Return a number above 0 and below 1 that is spread evenly over names and independent between salts.

    Args:
        salt: What it is drawn for; two salts give two numbers that know nothing of each other.
        name: Whom it is drawn for.
    """
    data = f"{salt}\0{name}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
    # 52 bits and a half: neither 0 nor 1 can come out, so that its logarithm is finite and not 0.
    return ((number >> 12) + 0.5) * _SCALE


def preference(salt: str, name: str, weight: float) -> float:
    """Return how much ``name`` prefers the place ``salt``: over places, the highest one wins (rendezvous hashing).

    A place wins with the probability weight / sum of weights. When a weight grows, names only move to that place;
    when a place goes, only its names move, spread over the others by their weights. The score is -w / ln u
    (Schindelhauer and Schomaker, 2005).

    Args:
        salt: The place.
        name: Who chooses.
        weight: Of the place, above 0.
    """
    return -weight / log(fraction(salt, name))
