"""Scored rows as columns: some thirty bytes a row, read as the rows that they stand for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, overload

from msgspec import structs

from pilothouse.evaluation.types import Score, ScoredRow


class ScoredRows(Sequence[ScoredRow]):
    """The scores of a run, row by row, without their evidence: it may be long, and no figure rests on it.

    Rows whose scores differ in nothing but their numbers share one template, so a row takes its numbers, the number of
    its template and its id.
    """

    def __init__(self) -> None:
        self._ids = _Texts()
        self._clusters = _Names()
        self._parts: tuple[_Part, ...] = (_Part(),)

    @classmethod
    def of(cls, rows: Iterable[ScoredRow]) -> Self:
        """Return rows as columns; rows that are columns already are returned as they are."""
        if isinstance(rows, cls):
            return rows
        made = cls()
        for row in rows:
            made.add(row)
        return made

    @classmethod
    def beside(cls, evaluators: Sequence[ScoredRows]) -> Self:
        """Return the rows of several evaluators over one run as rows that hold all scores.

        Args:
            evaluators: The rows of each; all have the same ids in the same order.
        """
        made = cls()
        if evaluators:
            made._ids, made._clusters = evaluators[0]._ids, evaluators[0]._clusters
            made._parts = tuple(part for rows in evaluators for part in rows._parts)
        return made

    def is_alike(self, other: ScoredRows) -> bool:
        """Return whether the other rows have the same ids in the same order."""
        return self._ids == other._ids

    def add(self, row: ScoredRow) -> None:
        """Append a row."""
        self._ids.add(row.id)
        self._clusters.add(row.cluster)
        self._parts[0].add(row.scores)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> ScoredRow: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[ScoredRow, ...]: ...

    def __getitem__(self, place: int | slice) -> ScoredRow | tuple[ScoredRow, ...]:
        """Return the row at a place, or several."""
        if isinstance(place, slice):
            return tuple(self._row(number) for number in range(*place.indices(len(self))))
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(place)
        return self._row(number)

    def __iter__(self) -> Iterator[ScoredRow]:
        return map(self._row, range(len(self)))

    def _row(self, number: int) -> ScoredRow:
        parts = self._parts
        scores = parts[0].scores(number)
        for part in parts[1:]:
            scores += part.scores(number)
        return ScoredRow(id=self._ids[number], scores=scores, cluster=self._clusters[number])


class RowsById(Mapping[str, ScoredRow]):
    """Rows found by their ids: at no cost and without an index as long as they are asked for in their own order.

    Args:
        rows: The rows; every id is there once.
    """

    def __init__(self, rows: Sequence[ScoredRow]) -> None:
        self._rows = rows
        self._next = 0
        self._places: dict[str, int] | None = None

    def __getitem__(self, row_id: str) -> ScoredRow:
        if self._next < len(self._rows) and (row := self._rows[self._next]).id == row_id:
            self._next += 1
            return row
        if self._places is None:
            self._places = {row.id: place for place, row in enumerate(self._rows)}
        place = self._places[row_id]
        self._next = place + 1
        return self._rows[place]

    def __iter__(self) -> Iterator[str]:
        return (row.id for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Template(NamedTuple):
    """Scores without their numbers, and where these belong: place of a score, whether its value is one, its sums."""

    scores: tuple[Score, ...]
    holes: tuple[tuple[int, bool, int], ...]


class _Part:
    """The scores of one evaluator."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._numbers = array("d")
        self._starts = array("Q")
        self._templates: list[_Template] = []
        self._known: dict[_Template, int] = {}

    def add(self, scores: tuple[Score, ...]) -> None:
        template, numbers = _taken_apart(scores)
        code = self._known.setdefault(template, len(self._templates))
        if code == len(self._templates):
            self._templates.append(template)
        if numbers and not self._starts:
            self._starts.extend([0] * len(self._codes))  # rows before the first number
        self._codes.append(code)
        if self._starts or numbers:
            self._starts.append(len(self._numbers))
            self._numbers.extend(numbers)

    def scores(self, number: int) -> tuple[Score, ...]:
        template = self._templates[self._codes[number]]
        if not template.holes:
            return template.scores
        found = list(template.scores)
        at = self._starts[number]
        for place, has_value, sums in template.holes:
            value = found[place].value
            if has_value:
                value, at = self._numbers[at], at + 1
            kept = tuple(self._numbers[at : at + sums])
            at += sums
            found[place] = structs.replace(found[place], value=value, sums=kept)
        return tuple(found)


def _taken_apart(scores: tuple[Score, ...]) -> tuple[_Template, list[float]]:
    light: list[Score] = []
    holes: list[tuple[int, bool, int]] = []
    numbers: list[float] = []
    for place, score in enumerate(scores):
        value = score.value
        has_value = isinstance(value, float | int) and not isinstance(value, bool)
        if has_value or score.sums:
            holes.append((place, has_value, len(score.sums)))
            numbers += [float(value), *score.sums] if has_value and value is not None else score.sums
            light.append(structs.replace(score, value=None if has_value else value, sums=(), evidence=None))
        else:
            light.append(score if score.evidence is None else structs.replace(score, evidence=None))
    return _Template(tuple(light), tuple(holes)), numbers


class _Texts:
    """Texts one after another."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q")

    def add(self, text: str) -> None:
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> str:
        start = self._ends[number - 1] if number else 0
        return self._bytes[start : self._ends[number]].decode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Texts) and self._ends == other._ends and self._bytes == other._bytes

    __hash__ = None  # pyright: ignore[reportAssignmentType]


class _Names:
    """Names of which many are the same, or none at all; nothing is kept until there is one."""

    def __init__(self) -> None:
        self._count = 0
        self._codes = array("I")
        self._names: list[str | None] = [None]
        self._known: dict[str | None, int] = {None: 0}

    def add(self, name: str | None) -> None:
        code = self._known.setdefault(name, len(self._names))
        if code == len(self._names):
            self._names.append(name)
        if code and not self._codes:
            self._codes.extend([0] * self._count)
        if self._codes or code:
            self._codes.append(code)
        self._count += 1

    def __getitem__(self, number: int) -> str | None:
        return self._names[self._codes[number]] if self._codes else None
