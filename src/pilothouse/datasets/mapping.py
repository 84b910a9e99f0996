"""Which column feeds which input: `${data.x}`, `${run.inputs.x}`, `${run.outputs.x}`, or a literal."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import DataError, nearest_hint
from pilothouse.datasets.types import Row

SOURCES = ("data", "run.inputs", "run.outputs")

_REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_ABSENT = object()


class Reference(Struct, frozen=True, kw_only=True):
    """One reference of a mapping.

    Attributes:
        text: As it was written: ``${run.outputs.answer.score}``.
        places: Source and path in the order they are tried; several only where one source's name begins another's.
    """

    text: str
    places: tuple[tuple[str, str], ...]


class ColumnMapping:
    """Makes the inputs of one line out of the rows of its sources.

    A value is a reference when the whole string is ``${source.path}``. The path is a column, which may have dots in
    its name, or a column and the keys and positions inside its value. Every other value is a literal.

    Attributes:
        literals: Input -> its constant.
        references: Input -> where it comes from.
    """

    def __init__(self, literals: Mapping[str, Any], references: Mapping[str, Reference]) -> None:
        self.literals = dict(literals)
        self.references = dict(references)

    @classmethod
    def parse(cls, mapping: Mapping[str, Any], sources: Sequence[str] = SOURCES) -> ColumnMapping:
        """Return the mapping that a run or experiment file writes.

        Args:
            mapping: Input -> reference or literal; empty for a flow without inputs.
            sources: The sources a line will have.

        Raises:
            DataError: for a source that does not exist, and when every value is a literal.
        """
        literals: dict[str, Any] = {}
        references: dict[str, Reference] = {}
        for name, value in mapping.items():
            match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if match is None:
                literals[name] = value
            else:
                references[name] = _reference(name, match[1], sources)
        if mapping and not references:
            raise DataError(
                "every value of the mapping is a literal, so all rows would be the same",
                where=f"column_mapping: {', '.join(mapping)}",
                expected="at least one reference, such as ${data.text}",
            )
        return cls(literals, references)

    def apply(
        self, line: Mapping[str, Mapping[str, Any]], *, optional: Collection[str] = (), where: str | None = None
    ) -> dict[str, Any]:
        """Return the inputs of one line.

        Args:
            line: Source -> its row.
            optional: Inputs that have a default: where their column is absent they are left out, so it applies.
            where: What the row is called in an error.

        Raises:
            DataError: when a column is absent from this row; the other rows are not concerned.
        """
        inputs = dict(self.literals)
        for name, reference in self.references.items():
            value = _find(reference, line)
            if value is not _ABSENT:
                inputs[name] = value
            elif name not in optional:
                raise _missing(name, reference, line, where)
        return inputs


class JoinedRow(Struct, frozen=True, kw_only=True):
    """One line of several sources.

    Attributes:
        id: The id that its rows share.
        number: Its place in the first source.
        line: Source -> its row; what :meth:`ColumnMapping.apply` takes.
    """

    id: str
    number: int
    line: dict[str, dict[str, Any]]


class Joined(Struct, frozen=True, kw_only=True):
    """Sources joined by row id.

    Attributes:
        rows: The ids that every source has, in the order of the first.
        dropped: Source -> the ids it has and another source lacks.
    """

    rows: tuple[JoinedRow, ...]
    dropped: dict[str, tuple[str, ...]]


def default_mapping(inputs: Mapping[str, bool]) -> dict[str, str]:
    """Return the mapping of a flow for which none was written: each input from the column of its name.

    Args:
        inputs: Input -> whether it has a default. One that has keeps it, even where a column has its name.
    """
    return {name: f"${{data.{name}}}" for name, has_default in inputs.items() if not has_default}


def join(sources: Mapping[str, Iterable[Row]]) -> Joined:
    """Put together the rows that have the same id in every source; all of them are in memory.

    Nothing is lost in silence: the ids that some source lacks are returned, for each source that has them.
    """
    by_id = {name: {row.id: row for row in rows} for name, rows in sources.items()}
    first = next(iter(by_id.values())) if by_id else {}
    shared = {row_id for row_id in first if all(row_id in rows for rows in by_id.values())}
    return Joined(
        rows=tuple(
            JoinedRow(id=row_id, number=row.number, line={name: rows[row_id].data for name, rows in by_id.items()})
            for row_id, row in first.items()
            if row_id in shared
        ),
        dropped={name: tuple(row_id for row_id in rows if row_id not in shared) for name, rows in by_id.items()},
    )


def _reference(name: str, text: str, sources: Sequence[str]) -> Reference:
    parts = text.split(".")
    # The shortest source first, so that a line with sources `a` and `a.b` reads `${a.b.c}` as column `b.c` of `a`.
    splits = [(".".join(parts[:end]), ".".join(parts[end:])) for end in range(1, len(parts))]
    places = tuple((source, path) for source, path in splits if source in sources and path)
    if not places:
        shown = "".join(f"${{{source}.column}} " for source in sources).strip()
        raise DataError(
            f"the input '{name}' wants ${{{text}}}, which names no source of rows",
            where="column_mapping",
            expected=f"{shown}; {nearest_hint(_head(parts), sources)}",
        )
    return Reference(text=f"${{{text}}}", places=places)


def _head(parts: Sequence[str]) -> str:
    return ".".join(parts[:2]) if parts[0] == "run" else parts[0]


def _find(reference: Reference, line: Mapping[str, Mapping[str, Any]]) -> Any:
    for source, path in reference.places:
        row = line.get(source)
        if row is not None:
            value = row[path] if path in row else _walk(row, path.split("."))
            if value is not _ABSENT:
                return value
    return _ABSENT


def _walk(value: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = cast("Mapping[str, Any]", value)[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(step)]
        else:
            return _ABSENT
    return value


def _missing(name: str, reference: Reference, line: Mapping[str, Mapping[str, Any]], where: str | None) -> DataError:
    source, path = next(((source, path) for source, path in reference.places if source in line), reference.places[0])
    if source not in line:
        return DataError(f"the input '{name}' wants {reference.text}, but this line has no {source}", where=where)
    return DataError(
        f"the input '{name}' wants {reference.text}, but this row has no '{path}'",
        where=where,
        expected=nearest_hint(path, line[source]),
        fix=f"give the row this column, or give the input '{name}' a default",
    )
