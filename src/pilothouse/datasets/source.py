"""Rows that can be read again and again: of files, or of a registered version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pilothouse.core.errors import DataError
from pilothouse.datasets.profile import Profiler, identity
from pilothouse.datasets.readers.base import Record
from pilothouse.datasets.types import Column, DatasetVersion, Profile, Row


class DatasetSource:
    """A dataset, ready to be streamed; every ``iter()`` begins at the first row and holds one row in memory.

    Attributes:
        name: What it is called: the name of a version, or the name of the file or folder without its suffix.
        origin: What was asked for.
        version: The registered version; None for files.
        id_column: The column that names the rows; None = their place.
        skipped: Files of a folder that nothing reads.
        parts: The datasets that it puts together, by name; empty for one that stands for itself.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Iterable[Record]],
        *,
        origin: str,
        version: DatasetVersion | None = None,
        id_column: str | None = None,
        skipped: tuple[Path, ...] = (),
    ) -> None:
        self.name = name
        self.origin = origin
        self.version = version
        self.id_column = id_column
        self.skipped = skipped
        self.parts: dict[str, DatasetSource] = {}
        self._read = read

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order.

        Raises:
            DataError: for the first row that cannot be accepted, with file and line, and when there is no row.
        """
        records = self._read()
        rows = _by_place(records) if self.id_column is None else _by_column(records, self.id_column)
        empty = True
        for row in rows:
            empty = False
            yield row
        if empty:
            raise DataError("there is no row in it", where=self.origin, expected="at least one row")

    @cached_property
    def profile(self) -> Profile:
        """Rows, columns and digest; for files this reads them once, from end to end."""
        if self.version is not None:
            return Profile(rows=self.version.rows, columns=self.version.columns, digest=self.version.blob)
        profiler = Profiler()
        for row in self:
            profiler.add(row.data)
        return profiler.profile()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns; see :attr:`profile` for the price."""
        return self.profile.columns

    @property
    def digest(self) -> str:
        """What the rows and their ids are known by: that of a version with the same; see :attr:`profile`."""
        return identity(self.profile.digest, self.id_column)

    def count(self) -> int | None:
        """Return the number of rows, or None while nobody has counted them."""
        return self.profile.rows if self.version is not None or "profile" in self.__dict__ else None


def _by_place(records: Iterable[Record]) -> Iterator[Row]:
    for number, record in enumerate(records):
        yield Row(id=str(number), number=number, data=record.data)


def _by_column(records: Iterable[Record], column: str) -> Iterator[Row]:
    # The ids seen are the one thing that grows with the data: about 150 bytes a row, only when ids were asked for.
    seen: dict[str, int] = {}
    for number, record in enumerate(records):
        name = _id(record, column)
        first = seen.setdefault(name, record.line)
        if len(seen) == number:
            raise DataError(
                f"the id '{name}' stands twice in column '{column}': lines {first} and {record.line}",
                where=record.where,
                fix="make the ids unique, or choose another id column",
            )
        yield Row(id=name, number=number, data=record.data)


def _id(record: Record, column: str) -> str:
    value: Any = record.data.get(column)
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return str(value)
    known = ", ".join(record.data)
    raise DataError(
        f"the id column '{column}' is {'empty' if column in record.data else 'missing'} here",
        where=record.where,
        expected="a string or a whole number in every row" if column in record.data else f"one of: {known}",
    )
