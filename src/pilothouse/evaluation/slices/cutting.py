"""From columns of the data to slices: numbers into parts of equal size or at given edges, all else by value."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

from pilothouse.datasets.types import Row
from pilothouse.evaluation.slices.types import NONE, OTHER, Cut, SliceBy
from pilothouse.evaluation.statistics.arrays import FloatArray

MOST_VALUES = 20
_PROSE = 0.5
_WRITTEN = re.compile(r"-?(0|[1-9]\d{0,300})(\.\d+)?([eE][-+]?\d{1,2})?")
"""A number in a text; with leading zeros it is a code, such as a post code."""

_LONGEST = 60


def cut(rows: Iterable[Row], ways: Sequence[SliceBy]) -> tuple[Cut, ...]:
    """Return the rows cut in each of the ``ways``; only the columns that are asked for are kept.

    A column of numbers alone is cut by size: into parts of equal numbers of rows, or at the edges given. Other columns
    are cut by value; beyond the 20 most frequent values a row is in ``other``. A row without a value is in ``(none)``.
    """
    wanted = {part.column for way in ways for part in way.parts}
    ids: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for row in rows:
        ids.append(row.id)
        for name, values in columns.items():
            values.append(row.data.get(name))
    return tuple(_crossed(way, [_column(part, columns[part.column]) for part in way.parts], ids) for way in ways)


_Column = tuple[tuple[str, ...], list[int], str | None]
"""The slices' names, each row's place among them, and a note."""


def _crossed(way: SliceBy, columns: Sequence[_Column], ids: Sequence[str]) -> Cut:
    places = list(zip(*(column[1] for column in columns), strict=True))
    occurring = set(places)
    combinations = [item for item in product(*(range(len(column[0])) for column in columns)) if item in occurring]
    number = {item: index for index, item in enumerate(combinations)}
    return Cut(
        by=way.name,
        labels=tuple(
            ", ".join(column[0][place] for column, place in zip(columns, item, strict=True)) for item in combinations
        ),
        of={id_: number[place] for id_, place in zip(ids, places, strict=True)},
        note="; ".join(column[2] for column in columns if column[2]) or None,
    )


def _column(way: SliceBy, values: Sequence[Any]) -> _Column:
    present = [value for value in values if not _is_absent(value)]
    numeric = bool(present) and all(_is_number(value) for value in present)
    if numeric and (way.edges or len(set(map(float, present))) > way.bins):
        return _by_size(way, values)
    if way.edges:
        return _by_value(values, f"{way.column} has values that are no numbers: its edges are not used")
    return _by_value(values, None, numeric=numeric)


def _by_size(way: SliceBy, values: Sequence[Any]) -> _Column:
    numbers: FloatArray = np.array([float(value) for value in values if not _is_absent(value)])
    edges = sorted(set(way.edges)) if way.edges else _quantiles(numbers, way.bins)
    names = _names(edges, float(numbers.min()), float(numbers.max()), given=bool(way.edges))
    absent = len(names)
    places = [absent if _is_absent(value) else bisect_left(edges, float(value)) for value in values]
    return (*names, NONE), places, None


def _quantiles(numbers: FloatArray, bins: int) -> list[float]:
    """Return cuts that are values of the data: ties stay together, so parts may be fewer than asked for."""
    shares = np.arange(1, bins) / bins
    found = sorted(set(np.quantile(numbers, shares, method="inverted_cdf").tolist()))
    return [edge for edge in found if edge < numbers.max()]


def _names(edges: Sequence[float], low: float, high: float, *, given: bool) -> list[str]:
    if not edges:
        return [f"{low:g} to {high:g}"]
    first = f"up to {edges[0]:g}" if given else f"{low:g} to {edges[0]:g}"
    middle = [f"over {a:g} to {b:g}" for a, b in pairwise(edges)]
    last = f"over {edges[-1]:g}" if given else f"over {edges[-1]:g} to {high:g}"
    return [first, *middle, last]


def _by_value(values: Sequence[Any], note: str | None, *, numeric: bool = False) -> _Column:
    shown = [NONE if _is_absent(value) else _shown(value) for value in values]
    counts = Counter(text for text in shown if text != NONE)
    kept = [text for text, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    if numeric:
        kept.sort(key=float)
    others = len(counts) - len(kept)
    number = {text: place for place, text in enumerate([*kept, OTHER, NONE] if others else [*kept, NONE])}
    places = [number.get(text, number.get(OTHER, 0)) for text in shown]
    rest = sum(counts.values()) - sum(counts[text] for text in kept)
    if others and rest > _PROSE * len(values):
        note = f"{len(counts):,} different values: all but {MOST_VALUES} are in '{OTHER}'"
    return tuple(number), places, note


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # as a CSV file has them
        return _WRITTEN.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)
