"""Scores of runs: every row judged once by every evaluator, and kept beside the run's rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.core.errors import Conflict
from pilothouse.core.storage.files import read_log, write_atomic
from pilothouse.datasets.mapping import SOURCES as RUN_SOURCES
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.types import Row
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import Estimate, EvaluationRow, ScoredRow
from pilothouse.experiments.analysis.recorded import FirstTimes, Recorded, duration_of
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.runs.types import Run, RunRow
from pilothouse.flows.results import ErrorInfo

SOURCES = (*RUN_SOURCES, "row")
"""What an evaluator's mapping may refer to; ``row`` holds what is known of the row itself."""

FOLDER = "scores"


class Judge(Struct, frozen=True, kw_only=True):
    """A loaded evaluator and where its arguments come from.

    Attributes:
        evaluator: The evaluator.
        mapping: Its mapping, parsed.
        written: Its mapping, as data.
    """

    evaluator: Evaluator
    mapping: ColumnMapping
    written: dict[str, Any]

    @property
    def identity(self) -> list[Any]:
        """What decides its scores, apart from the rows."""
        return [self.evaluator.name, self.evaluator.version, self.written]

    @property
    def wants_data(self) -> bool:
        """Whether it looks at the data's own columns."""
        return any(source == "data" for item in self.mapping.references.values() for source, _ in item.places)


class Scores(Struct, frozen=True, kw_only=True):
    """What one evaluator says of one run; ``aggregates`` are its own figures over all rows."""

    rows: tuple[ScoredRow, ...]
    aggregates: tuple[Estimate, ...] = ()


class _Head(Struct, frozen=True, kw_only=True):
    """The first line of a file of scores; ``key`` says what they are scores of."""

    key: str
    rows: int
    aggregates: tuple[Estimate, ...] = ()


class Scorer:
    """Scores runs, and keeps the scores in the folder of each run.

    Args:
        folder: Holds a folder for each run.
        evaluation: Judges rows.
    """

    def __init__(self, folder: Path, evaluation: EvaluationService) -> None:
        self._folder = folder
        self._evaluation = evaluation

    async def score(
        self,
        recorded: Recorded,
        data: DatasetSource | None,
        judge: Judge,
        on_row: Callable[[int], None] | None = None,
        *,
        cluster: str | None = None,
    ) -> Scores:
        """Return one evaluator's scores of one run; those made before are taken when nothing changed.

        Args:
            recorded: The run.
            data: The data it ran over, where the evaluator looks at it or rows are in clusters.
            judge: The evaluator.
            on_row: Told the number of rows judged so far, after each.
            cluster: The column of the data that rows which are not independent share.

        Raises:
            StorageError: when the scores cannot be written.
        """
        path = self._path(recorded.run, judge.evaluator.name)
        key = _key(recorded.run, judge, cluster)
        known = _load(path, key)
        if known is not None:
            return known
        done = itertools.count(1)
        result = await self._evaluation.evaluate(
            evaluation_rows(recorded, data if judge.wants_data or cluster else None, judge, cluster),
            [judge.evaluator],
            on_row=None if on_row is None else lambda _: on_row(next(done)),
        )
        made = Scores(rows=result.rows, aggregates=result.aggregates)
        head = _Head(key=key, rows=len(made.rows), aggregates=made.aggregates)
        lines = [msgspec.json.encode(head), *map(msgspec.json.encode, made.rows)]
        write_atomic(path, b"\n".join(lines) + b"\n", mode=0o600)
        return made

    def stored(self, run: Run, evaluator: str) -> Scores:
        """Return the scores that an evaluator last gave a run.

        Raises:
            Conflict: there are none.
        """
        found = _load(self._path(run, evaluator), None)
        if found is None:
            raise Conflict(
                f"the scores of '{evaluator}' for the run '{run.name}' are gone", fix="run the experiment again"
            )
        return found

    def _path(self, run: Run, evaluator: str) -> Path:
        return self._folder / run.id / FOLDER / f"{evaluator}.jsonl"


def evaluation_rows(
    recorded: Recorded, data: Iterable[Row] | None, judge: Judge, cluster: str | None = None
) -> Iterator[EvaluationRow]:
    """Yield what the evaluator is asked about each row, in input order.

    An argument whose column is absent from a row is left out: the evaluator then says that it is missing, which is
    the state of that row alone.
    """
    source = iter(data) if data is not None else iter(())
    current: Row | None = None
    repeat = recorded.run.repeat
    for row in recorded.rows():
        while data is not None and (current is None or current.number < row.number):
            found = next(source, None)
            if found is None:
                break
            current = found
        here = current.data if current is not None and current.number == row.number else {}
        line = {
            "data": here,
            "run.inputs": row.inputs,
            "run.outputs": row.outputs,
            "row": row_facts(row, recorded.first),
        }
        yield EvaluationRow(
            id=evaluation_id(row, repeat),
            arguments={judge.evaluator.name: judge.mapping.apply(line, optional=judge.mapping.references)},
            failure=_failure(row),
            cluster=_cluster(here, cluster) or (row.line_id if repeat > 1 else None),
        )


def _cluster(data: Mapping[str, Any], column: str | None) -> str | None:
    """Return what a row shares with others; None where its column is empty: it then stands for itself."""
    value = data.get(column) if column is not None else None
    # The column in front keeps it apart from the ids of rows.
    return None if value is None or value == "" else f"{column}={value}"


def row_facts(row: RunRow, first: FirstTimes) -> Mapping[str, Any]:
    """Return what is known of the row itself, for evaluators of time, tokens and cost."""
    usage = row.usage + row.cached_usage
    called = any(node.model is not None for node in row.nodes)
    costs = [float(cost) for cost in (row.cost, row.cached_cost) if cost is not None]
    return {
        "duration": duration_of(row, first),
        "input_tokens": usage.input_tokens if called else None,
        "output_tokens": usage.output_tokens if called else None,
        "cost": sum(costs) if costs and not row.unpriced else None,
        "cached": row.cached,
    }


def _failure(row: RunRow) -> ErrorInfo | None:
    if row.status == "completed":
        return None
    return row.error or ErrorInfo(type="RowError", message=f"the row is {row.status}")


def _key(run: Run, judge: Judge, cluster: str | None) -> str:
    """Return a digest of what the scores rest on: a resumed run has other rows than before."""
    shared = [cluster] if cluster is not None else []
    return digest([run.id, len(run.attempts), run.counts.completed, run.counts.done, judge.identity, *shared])


def _load(path: Path, key: str | None) -> Scores | None:
    """Return scores made before, or None when there are none of this key; without a key, whatever there is."""
    if not path.exists():
        return None
    lines = (line for _, line in read_log(path))
    try:
        head = msgspec.json.decode(next(lines, b""), type=_Head)
        if key not in (None, head.key):
            return None
        decode = msgspec.json.Decoder(ScoredRow).decode
        rows = tuple(map(decode, lines))
    except msgspec.DecodeError:
        # What cannot be read is made anew: scores follow from rows and evaluator.
        return None
    return Scores(rows=rows, aggregates=head.aggregates) if len(rows) == head.rows else None
