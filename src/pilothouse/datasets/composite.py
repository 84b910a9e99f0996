"""Several datasets read as one: row ids tell the dataset, and every row carries its name in the column `dataset`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct, field

from pilothouse.core.canonical import digest
from pilothouse.core.errors import DataError, UserError
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.datasets.profile import Profiler
from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.types import Profile, Row

PREFIX = "datasets:"
COLUMN = "dataset"


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several datasets.

    Attributes:
        data: A file, a folder, or ``dataset:name[:version|@alias]``.
        id_column: The column that names the rows of files.
        column_mapping: Columns that its rows have beside their own: name -> ``${data.x}`` or a literal.
        limit: Only the first rows.
    """

    data: str
    id_column: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict[str, Any])
    limit: int | None = None


def text_of(parts: Mapping[str, Part]) -> str:
    """Return several datasets as the one text that `DatasetService.open` takes."""
    return PREFIX + msgspec.json.encode(dict(parts)).decode()


def parts_of(text: str) -> dict[str, Part]:
    """Return the datasets of a text, by name.

    Raises:
        UserError: the text is none that `text_of` gave.
    """
    try:
        return msgspec.json.decode(text.removeprefix(PREFIX), type=dict[str, Part])
    except msgspec.DecodeError as error:
        raise UserError(
            f"this names no datasets: {error}", where=text[:80], expected=f'{PREFIX}{{"name": {{"data": "..."}}}}'
        ) from error


class CompositeSource(DatasetSource):
    """The rows of several datasets, one dataset after the other; their ids are ``dataset/id``."""

    def __init__(self, text: str, parts: Mapping[str, tuple[Part, DatasetSource]]) -> None:
        super().__init__("+".join(parts), lambda: (), origin=text)
        self.parts = {name: source for name, (_, source) in parts.items()}
        self.skipped = tuple(path for source in self.parts.values() for path in source.skipped)
        self._how = {
            name: (part, ColumnMapping.parse(part.column_mapping, ("data",))) for name, (part, _) in parts.items()
        }

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order.

        Raises:
            DataError: for the first row that cannot be accepted, with file and line, and for a dataset without rows.
        """
        number = itertools.count()
        for name, source in self.parts.items():
            part, mapping = self._how[name]
            for row in itertools.islice(source, part.limit):
                if COLUMN in row.data:
                    raise DataError(
                        f"the rows of '{name}' have a column '{COLUMN}', which is where the name of the dataset stands",
                        where=source.origin,
                        fix="rename the column",
                    )
                more = mapping.apply({"data": row.data}, where=f"{source.origin}, row {row.number}")
                yield Row(id=f"{name}/{row.id}", number=next(number), data={**row.data, **more, COLUMN: name})

    @cached_property
    def profile(self) -> Profile:
        """Rows, columns and digest of all of them; this reads them once, from end to end."""
        profiler = Profiler()
        for row in self:
            profiler.add(row.data)
        return profiler.profile()

    @property
    def digest(self) -> str:
        """What the rows and their ids are known by."""
        return digest({"rows": self.profile.digest, "ids": [[name, one.id_column] for name, one in self.parts.items()]})
