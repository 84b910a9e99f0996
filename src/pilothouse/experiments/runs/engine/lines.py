"""What a flow is given: lines made of the rows of the data, of a source run, or of both, joined by line id."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import DataError
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.datasets.types import Row
from pilothouse.experiments.runs.journal import Journal
from pilothouse.experiments.runs.types import RunRow
from pilothouse.flows.results import ErrorInfo

#: Lines looked at before a run is refused because none of them can be mapped.
TRIED = 1000

MISSING = "MissingSourceRow"


Sources = Mapping[str, Mapping[str, Any]] | ErrorInfo
"""What a mapping may refer to, by `data`, `run.inputs`, `run.outputs`; or why there is nothing."""

Base = tuple[str, int, list[tuple[int, Sources]]]
"""A row's id, its number, and its repetitions with what each of them may be made from."""


class Line(Struct, frozen=True, kw_only=True):
    """One call of the flow that is to be made.

    Attributes:
        line_id: Id of the row.
        number: 0-based line in the data.
        repeat: 0-based repetition.
        inputs: The flow's inputs; None when they cannot be made.
        error: Why they cannot be made.
    """

    line_id: str
    number: int
    repeat: int = 0
    inputs: dict[str, Any] | None = None
    error: ErrorInfo | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the source run has no answer for it."""
        return self.error is not None and self.error.type == MISSING


class SourceRows:
    """The rows of a source run, found by line id.

    Attributes:
        repeat: Lines per row of the data in that run.
        matched: Rows that were asked for and found with an answer.
    """

    def __init__(self, journal: Journal) -> None:
        self.repeat = journal.repeat
        self.matched = 0
        self._journal = journal
        self._index = journal.index()
        self._by_id: dict[tuple[str, int], tuple[int, int]] | None = None

    @property
    def recorded(self) -> int:
        """Rows of the run that have an outcome."""
        return len(self._index)

    @property
    def answered(self) -> int:
        """Rows of the run that have an answer."""
        return self._index.count("completed")

    def rows(self) -> Iterator[RunRow]:
        """Yield every row in input order, also those without an answer."""
        return self._journal.rows(index=self._index)

    def find(self, number: int, line_id: str, repeat: int) -> RunRow | None:
        """Return the row of a line id, or None when the run has none."""
        # Over the same data a row has the same number; over other data its id is looked for.
        row = self._journal.row(self._index, number, repeat)
        if row is None or row.line_id != line_id:
            if self._by_id is None:
                self._by_id = {other.key: (other.number, other.repeat) for other in self.rows()}
            place = self._by_id.get((line_id, repeat))
            row = self._journal.row(self._index, *place) if place is not None else None
        self.matched += row is not None and row.status == "completed"
        return row


class Lines:
    """Lines in input order, one in memory at a time.

    Args:
        mapping: Makes the inputs of a line.
        optional: Inputs that have a default.
        rows: Rows of the data; None when the source run alone gives the lines.
        source: The source run, where there is one.
        repeat: Times every line is run.
        limit: Rows at most.
        chosen: Numbers of the rows that run, where not all do.
    """

    def __init__(
        self,
        mapping: ColumnMapping,
        *,
        optional: frozenset[str] = frozenset(),
        rows: Iterable[Row] | None,
        source: SourceRows | None,
        repeat: int = 1,
        limit: int | None = None,
        chosen: Container[int] | None = None,
    ) -> None:
        self._mapping = mapping
        self._optional = optional
        self._rows = rows
        self._source = source
        self._repeat = repeat
        self._limit = limit
        self._chosen = chosen

    def wanted(self, is_done: Callable[[int, int], bool]) -> Iterator[Line]:
        """Yield the lines whose number and repetition ``is_done`` does not accept."""
        for line_id, number, given in itertools.islice(self._bases(), self._limit):
            if self._chosen is not None and number not in self._chosen:
                continue
            for base_repeat, sources in given:
                for again in range(self._repeat):
                    repeat = base_repeat * self._repeat + again
                    if not is_done(number, repeat):
                        yield self._line(line_id, number, repeat, sources)

    def _bases(self) -> Iterator[Base]:
        if self._rows is not None:
            for row in self._rows:
                yield row.id, row.number, self._joined(row)
        elif self._source is not None:
            rows = itertools.groupby(self._source.rows(), lambda row: (row.line_id, row.number))
            for (line_id, number), repeats in rows:
                yield line_id, number, [(row.repeat, _of_run(row)) for row in repeats]

    def _joined(self, row: Row) -> list[tuple[int, Sources]]:
        data = {"data": row.data}
        if self._source is None:
            return [(0, data)]
        found = (self._source.find(row.number, row.id, repeat) for repeat in range(self._source.repeat))
        return [(repeat, _and(data, _of_run(other))) for repeat, other in enumerate(found)]

    def _line(self, line_id: str, number: int, repeat: int, sources: Sources) -> Line:
        if isinstance(sources, ErrorInfo):
            return Line(line_id=line_id, number=number, repeat=repeat, error=sources)
        try:
            inputs = self._mapping.apply(sources, optional=self._optional)
            return Line(line_id=line_id, number=number, repeat=repeat, inputs=inputs)
        except DataError as error:
            info = ErrorInfo(type=type(error).__name__, message=str(error))
            return Line(line_id=line_id, number=number, repeat=repeat, error=info)


def refuse_if_none_maps(lines: Iterator[Line]) -> Iterator[Line]:
    """Return the same lines, after a look at the first of them.

    Raises:
        DataError: when none of the first 1,000 lines (or of all, if there are fewer) can be mapped.
    """
    held: list[Line] = []
    for line in itertools.islice(lines, TRIED):
        held.append(line)
        if line.inputs is not None or line.is_missing:
            return itertools.chain(held, lines)
    if not held:
        raise DataError("the data has no rows")
    first = held[0].error
    raise DataError(f"no row can be mapped (of {len(held):,} looked at): {first.message if first else 'no inputs'}")


def _of_run(row: RunRow | None) -> Sources:
    if row is None:
        return ErrorInfo(type=MISSING, message="the source run has no row with this id")
    if row.status != "completed":
        reason = f": {row.error.message}" if row.error is not None else ""
        return ErrorInfo(type=MISSING, message=f"the source run has no answer for this row{reason}")
    return {"run.inputs": row.inputs, "run.outputs": row.outputs}


def _and(data: Mapping[str, Mapping[str, Any]], sources: Sources) -> Sources:
    return sources if isinstance(sources, ErrorInfo) else {**data, **sources}
