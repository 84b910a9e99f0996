"""From a price list to a `Rate`: what is billed by which count, and what is inside of what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from pilothouse.models.rates.rate import FIELDS, NANO, Form, Rate


class Unit(Struct, frozen=True):
    """Something that has a price.

    Attributes:
        traits: What it is; a unit that has all traits of another is a part of it.
        counts: Fields of a usage that count it, together.
        per: How many the price is for.
    """

    traits: frozenset[str]
    counts: tuple[str, ...]
    per: int


class Tiers(Struct, frozen=True):
    """A price in dollars, and what it is for calls whose input is larger than a start; the starts rise."""

    base: Fraction
    steps: tuple[tuple[int, Fraction], ...] = ()

    def at(self, size: int) -> Fraction:
        """Return the price for an input of ``size`` tokens."""
        found = self.base
        for start, price in self.steps:
            if size > start:
                found = price
        return found


def _unit(traits: str, counts: str, per: int) -> Unit:
    return Unit(frozenset(traits.split()), tuple(counts.split()), per)


_M: Final = 1_000_000
_HOUR: Final = 3_600_000

UNITS: Final[Mapping[str, Unit]] = {
    "input_mtok": _unit("in", "input_tokens", _M),
    "output_mtok": _unit("out", "output_tokens", _M),
    "cache_read_mtok": _unit("in read", "cached_input_tokens", _M),
    "cache_write_mtok": _unit("in write", "cache_write_tokens cache_write_long_tokens", _M),
    "cache_write_5m_mtok": _unit("in write short", "cache_write_tokens", _M),
    "cache_write_1h_mtok": _unit("in write long", "cache_write_long_tokens", _M),
    "input_audio_mtok": _unit("in audio", "audio_input_tokens", _M),
    "output_audio_mtok": _unit("out audio", "audio_output_tokens", _M),
    "cache_audio_read_mtok": _unit("in read audio", "cached_audio_tokens", _M),
    "input_image_mtok": _unit("in image", "image_input_tokens", _M),
    "output_image_mtok": _unit("out image", "image_output_tokens", _M),
    "output_reasoning_mtok": _unit("out reasoning", "reasoning_tokens", _M),
    "input_mchars": _unit("characters", "characters", _M),
    "audio_hours": _unit("sound", "milliseconds", _HOUR),
    "input_audio_hours": _unit("sound heard", "milliseconds", _HOUR),
    "images": _unit("pictures", "images", 1),
    "rerank_searches_kcount": _unit("searches", "searches", 1_000),
    "web_searches_kcount": _unit("searches", "searches", 1_000),
    "requests_kcount": _unit("request", "", 1_000),
}
"""What a usage counts, by the names of `genai-prices`; ``images`` is our own."""

_PIECES: Final = ("images", "characters", "milliseconds", "searches")


def compile_rate(
    prices: Mapping[str, Tiers], *, name: str, valid_from_ns: int, valid_until_ns: int, least_milliseconds: int = 0
) -> Rate:
    """Return the rate of a price list.

    Args:
        prices: Dollars by the names of `UNITS`; whatever is not named has the price of the whole it is a part of.
        name: The rate's id.
        valid_from_ns: The first moment it holds.
        valid_until_ns: The first moment it no longer holds.
        least_milliseconds: What the shortest sound is billed as.
    """
    leaves = _leaves({*prices, "input_mtok", "output_mtok"})
    starts = sorted({start for price in prices.values() for start, _ in price.steps})
    sizes = [0, *(start + 1 for start in starts)]
    # Nano-dollars for one of the unit, by size.
    each = {name: [price.at(size) * NANO / UNITS[name].per for size in sizes] for name, price in prices.items()}
    scale = math.lcm(*(value.denominator for values in each.values() for value in values))
    exact = {name: [int(value * scale) for value in values] for name, values in each.items()}
    return Rate(
        id=name,
        valid_from_ns=valid_from_ns,
        valid_until_ns=valid_until_ns,
        scale=scale,
        starts=tuple(starts),
        rows=tuple(_row(leaves, exact, number) for number in range(len(sizes))),
        fixed=tuple(exact["requests_kcount"]) if "requests_kcount" in exact else (0,) * len(sizes),
        dearest=tuple((_dearest(exact, "in", number), _dearest(exact, "out", number)) for number in range(len(sizes))),
        never_negative=tuple(form for form in map(_form, leaves.values()) if any(factor < 0 for _, factor in form)),
        must_be_zero=tuple(_form(leaves[name]) for name in ("input_mtok", "output_mtok") if name not in prices),
        unpriced=tuple(FIELDS[field] for field in _PIECES if not any(field in UNITS[name].counts for name in prices)),
        least_milliseconds=least_milliseconds,
    )


def _leaves(names: set[str]) -> dict[str, dict[str, int]]:
    """Return for each unit what is left of it without its parts: field of a usage to factor."""
    leaves: dict[str, dict[str, int]] = {}
    for name in sorted(names, key=lambda name: -len(UNITS[name].traits)):
        left = dict.fromkeys(UNITS[name].counts, 1)
        for part, taken in leaves.items():
            if UNITS[part].traits > UNITS[name].traits:
                for field, factor in taken.items():
                    left[field] = left.get(field, 0) - factor
        leaves[name] = left
    return leaves


def _form(sums: Mapping[str, int]) -> Form:
    return tuple((FIELDS[field], factor) for field, factor in sums.items() if factor)


def _row(leaves: Mapping[str, Mapping[str, int]], exact: Mapping[str, Sequence[int]], number: int) -> Form:
    sums: dict[str, int] = {}
    for name, prices in exact.items():
        for field, factor in leaves[name].items():
            sums[field] = sums.get(field, 0) + factor * prices[number]
    return _form(sums)


def _dearest(exact: Mapping[str, Sequence[int]], trait: str, number: int) -> int:
    return max(
        (price for name, prices in exact.items() if trait in UNITS[name].traits for price in prices[: number + 1]),
        default=0,
    )
