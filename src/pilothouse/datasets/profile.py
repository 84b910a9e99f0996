"""One pass over rows: their canonical lines, their digest, their columns."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import msgspec

from pilothouse.core.canonical import digest
from pilothouse.datasets.types import Column, Profile

# The same bytes as `canonical_json` (a test says so) without its search for NaN: readers let none through.
_encode = msgspec.json.Encoder(order="deterministic").encode

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


class Profiler:
    """Takes rows one after another and remembers only what a `Profile` says."""

    def __init__(self) -> None:
        self._rows = 0
        self._sha256 = hashlib.sha256()
        self._seen: defaultdict[str, defaultdict[type, int]] = defaultdict(_counts)

    def add(self, data: dict[str, Any]) -> bytes:
        """Take one row; return its canonical line, with the line end."""
        self._rows += 1
        for name, value in data.items():
            self._seen[name][type(value)] += 1
        line = _encode(data) + b"\n"
        self._sha256.update(line)
        return line

    def profile(self) -> Profile:
        """Return what is known of the rows taken so far."""
        columns = tuple(_column(name, counts, self._rows) for name, counts in self._seen.items())
        return Profile(rows=self._rows, columns=columns, digest=self._sha256.hexdigest())


def identity(rows: str, id_column: str | None) -> str:
    """Return what a version is known by: the digest of its rows and, because ids are content too, what names them."""
    return rows if id_column is None else digest({"id_column": id_column, "rows": rows})


def _counts() -> defaultdict[type, int]:
    return defaultdict(int)


def _column(name: str, counts: dict[type, int], rows: int) -> Column:
    kinds = {_TYPES[kind] for kind in counts if kind in _TYPES}
    if "number" in kinds:
        kinds.discard("integer")
    return Column(
        name=name,
        type="|".join(sorted(kinds)) or "null",
        nulls=counts.get(type(None), 0),
        absent=rows - sum(counts.values()),
    )
