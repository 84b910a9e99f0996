"""Scores of runs: every row judged once by every evaluator, and kept beside the run's rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage.files import AppendLog, write_atomic
from pilothouse.datasets.mapping import SOURCES as RUN_SOURCES
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.types import Row
from pilothouse.evaluation.columns import ScoredRows
from pilothouse.evaluation.evaluators.evaluator import Evaluator, Judged
from pilothouse.evaluation.service import EvaluationService, score_all
from pilothouse.evaluation.session import EvaluationSession
from pilothouse.evaluation.types import Estimate, EvaluationRow, ScoredRow
from pilothouse.experiments.analysis.recorded import FirstTimes, Recorded, duration_of
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.runs.journal import LineWriter
from pilothouse.experiments.runs.types import Run, RunRow
from pilothouse.experiments.scores.log import ScoreIndex, asked, score_line
from pilothouse.flows.results import ErrorInfo

SOURCES = (*RUN_SOURCES, "row")
"""What an evaluator's mapping may refer to; ``row`` holds what is known of the row itself."""

FOLDER = "scores"

_SHORT = 16
_INTERVAL = 0.05
_BATCH = 500


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
    """What one evaluator says of one run.

    Attributes:
        rows: Scores without their evidence, in input order.
        aggregates: The evaluator's own figures over all rows.
        whole: Yields the scores with their evidence, from the disk, one row in memory at a time.
    """

    rows: ScoredRows
    aggregates: tuple[Estimate, ...] = ()
    whole: Callable[[], Iterator[ScoredRow]]


class _Summary(Struct, frozen=True, kw_only=True):
    """Which scores of an evaluator are those of its run: written when every row is judged.

    Attributes:
        key: What they rest on.
        file: Name of the file that has them.
        rows: How many there are.
        unsettled: Rows that the evaluator failed on; they are judged again when the experiment is run again.
        aggregates: Figures over all rows.
    """

    key: str
    file: str
    rows: int
    unsettled: int = 0
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
        """Return one evaluator's scores of one run; rows that were judged before are not judged again.

        Every score is on the disk within a moment after the evaluator gave it: what a judge was paid for survives a
        process that is killed.

        Args:
            recorded: The run.
            data: The data it ran over, where the evaluator looks at it or rows are in clusters.
            judge: The evaluator.
            on_row: Told the number of rows judged so far, after each.
            cluster: The column of the data that rows which are not independent share.

        Raises:
            StorageError: when the scores cannot be written.
            Conflict: another process judges the same rows.
        """
        folder, name = self._place(recorded.run), judge.evaluator.name
        key = _key(recorded, judge, cluster)
        known = _summary(folder, name)
        if known is not None and known.key == key and not known.unsettled:
            found = _scores(ScoreIndex(folder / known.file), known)
            if found is not None:
                return found
        # What rows share stands in every line: another column makes another file.
        identity = [judge.identity, *_order(recorded), *([cluster] if cluster is not None else [])]
        file = f"{name}-{digest(identity)[:_SHORT]}.jsonl"
        rows = evaluation_rows(recorded, data if judge.wants_data or cluster else None, judge, cluster)
        placed = zip(_places(recorded), rows, strict=False)
        aggregates, count = await self._judge(folder / file, placed, judge.evaluator, on_row)
        index = ScoreIndex(folder / file)
        made = _Summary(key=key, file=file, rows=count, unsettled=index.unsettled, aggregates=aggregates)
        write_atomic(folder / f"{name}.json", msgspec.json.encode(made), mode=0o600)
        found = _scores(index, made)
        if found is None:
            raise StorageError("scores that were just written are gone", where=str(folder / file), fix="run it again")
        return found

    async def _judge(
        self,
        path: Path,
        rows: Iterable[tuple[int, EvaluationRow]],
        evaluator: Evaluator,
        on_row: Callable[[int], None] | None,
    ) -> tuple[tuple[Estimate, ...], int]:
        """Judge the rows that have no scores in a file yet; return the figures over all rows, and their number."""
        index, pending = ScoreIndex(path), dict[int, str]()
        session = EvaluationSession([evaluator], keeps_rows=False)
        done = 0

        def tell(judged: int) -> None:
            nonlocal done
            done += judged
            if on_row is not None:
                on_row(done)

        def wanted() -> Iterator[tuple[int, EvaluationRow]]:
            for place, row in rows:
                of = asked(row)
                if index.has(place, of):
                    if evaluator.aggregates and (line := index.line(place)) is not None:
                        judged = Judged(scores=line.row.scores, returned=line.returned, completed=line.completed)
                        session.recall(line.row, place, judged)
                    tell(1)
                else:
                    pending[place] = of
                    yield place, row

        with AppendLog(path) as log:
            async with (
                LineWriter[int](log, interval=_INTERVAL, batch=_BATCH, on_recorded=lambda _: None) as writer,
                session,
            ):

                async def record(place: int, row: ScoredRow) -> None:
                    line = score_line(place, pending.pop(place), row, session.judged(evaluator.name, place))
                    await writer.put([(place, line)])
                    tell(1)

                await score_all(session, wanted(), record=record)
                return (await session.finish()).aggregates, done

    def stored(self, run: Run, evaluator: str) -> Scores:
        """Return the scores that an evaluator last gave a run.

        Raises:
            Conflict: there are none.
        """
        folder = self._place(run)
        known = _summary(folder, evaluator)
        found = _scores(ScoreIndex(folder / known.file), known) if known is not None else None
        if found is None:
            raise Conflict(
                f"the scores of '{evaluator}' for the run '{run.name}' are gone", fix="run the experiment again"
            )
        return found

    def _place(self, run: Run) -> Path:
        return self._folder / run.id / FOLDER


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


def _places(recorded: Recorded) -> Iterator[int]:
    """Yield where the scores of each row stand: in a random order, those of a smaller sample come first."""
    if recorded.places is None:
        yield from itertools.count()
        return
    for row in recorded.rows():
        yield recorded.places[row.number] * recorded.run.repeat + row.repeat


def _order(recorded: Recorded) -> list[Any]:
    """Return what decides where scores stand in their file; nothing where it is the data's order."""
    sample = recorded.run.spec.sample
    return ["sample", sample.seed, sample.cluster] if sample is not None and recorded.places is not None else []


def _key(recorded: Recorded, judge: Judge, cluster: str | None) -> str:
    """Return a digest of what the scores rest on: a resumed run has other rows than before."""
    run = recorded.run
    shared = [cluster] if cluster is not None else []
    if recorded.places is not None:
        shared.append(f"sample of {len(recorded.places)}")
    return digest([run.id, len(run.attempts), run.counts.completed, run.counts.done, judge.identity, *shared])


def _summary(folder: Path, evaluator: str) -> _Summary | None:
    """Return what is said of the scores that an evaluator last gave; None when that cannot be read."""
    try:
        return msgspec.json.decode((folder / f"{evaluator}.json").read_bytes(), type=_Summary)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _scores(index: ScoreIndex, known: _Summary) -> Scores | None:
    """Return scores made before; None when they are not whole: scores follow from rows and evaluator."""
    try:
        rows = ScoredRows.of(line.row for line in itertools.islice(index.lines(), known.rows))
    except msgspec.DecodeError:
        return None
    if len(rows) != known.rows:
        return None
    return Scores(
        rows=rows,
        aggregates=known.aggregates,
        whole=lambda: (line.row for line in itertools.islice(index.lines(), known.rows)),
    )
