"""A choice of rows that every machine makes alike: equally many of each label, in the order of a hash of the text."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

from pilothouse.core.errors import DataError
from pilothouse.datasets.samples.types import SampleRow

EXAMPLES = 4
"""Rows of each label that are kept apart, to show a model."""


def choose(rows: Sequence[SampleRow], count: int) -> tuple[tuple[SampleRow, ...], tuple[SampleRow, ...]]:
    """Return ``count`` rows of the data, the labels taking turns, and the examples.

    The data are the first of the order and the examples the last: they never meet, and 80 rows are the first of 200.

    Raises:
        DataError: when there are not so many of every label.
    """
    by_label: dict[str, list[SampleRow]] = {}
    for row in sorted(rows, key=_order):
        by_label.setdefault(row.label, []).append(row)
    queues = [by_label[label] for label in sorted(by_label)]
    most = (min(map(len, queues)) - EXAMPLES) * len(queues)
    if not len(queues) <= count <= most:
        raise DataError(
            f"{count} rows cannot be taken with equally many of each label", expected=f"from {len(queues)} to {most}"
        )
    turns = itertools.chain.from_iterable(zip(*queues, strict=False))
    examples = itertools.chain.from_iterable(zip(*(queue[-EXAMPLES:] for queue in queues), strict=True))
    return tuple(itertools.islice(turns, count)), tuple(examples)


def _order(row: SampleRow) -> bytes:
    return hashlib.sha256(row.first.encode("utf-8")).digest()
