"""Rows side by side: one row of the data and what every arm made of it, streamed in the data's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from pilothouse.evaluation.types import Score, ScoredRow
from pilothouse.experiments.analysis.judgements import Judgement, Judgements
from pilothouse.experiments.analysis.recorded import FirstTimes, duration_of, uses_cache
from pilothouse.experiments.comparison import Answer, RowView
from pilothouse.experiments.runs.types import RunRow

_Key = tuple[int, int]


class ArmRows(Struct, frozen=True, kw_only=True):
    """One arm's rows in input order, its judgements, its scores by evaluation id, and first times of cached rows."""

    rows: Iterable[RunRow]
    judged: Judgements
    scores: Mapping[str, ScoredRow]
    first: FirstTimes = field(default_factory=dict[tuple[str, int], float])


def evaluation_id(row: RunRow, repeat: int) -> str:
    """Return the id under which a row is judged and paired: its own, with the repetition where there are several."""
    return f"{row.line_id}#{row.repeat}" if repeat > 1 else row.line_id


def row_views(arms: Sequence[ArmRows], repeat: int = 1) -> Iterator[RowView]:
    """Yield every row that some arm has; an arm without it has the answer None."""
    streams = [iter(arm.rows) for arm in arms]
    heads = [next(stream, None) for stream in streams]
    while present := [row for row in heads if row is not None]:
        key = min(map(_key, present))
        answers: list[Answer | None] = []
        first: RunRow | None = None
        truth: str | None = None
        for place, arm in enumerate(arms):
            row = heads[place]
            if row is None or _key(row) != key:
                answers.append(None)
                continue
            judgement = arm.judged[evaluation_id(row, repeat)]
            scored = arm.scores.get(evaluation_id(row, repeat))
            answers.append(_answer(row, judgement, () if scored is None else scored.scores, arm.first))
            truth = truth if truth is not None else judgement.truth
            first = first if first is not None and first.inputs else row
            heads[place] = next(streams[place], None)
        if first is not None:
            yield RowView(
                id=first.line_id,
                number=first.number,
                repeat=first.repeat,
                inputs=first.inputs,
                truth=truth,
                answers=tuple(answers),
            )


def _key(row: RunRow) -> _Key:
    return row.number, row.repeat


def _answer(row: RunRow, judgement: Judgement, scores: Sequence[Score], first: FirstTimes) -> Answer:
    error = None
    if row.status != "completed":
        error = f"{row.error.type}: {row.error.message}" if row.error else f"the row is {row.status}"
    return Answer(
        outputs=row.outputs,
        primary=judgement.value,
        right=judgement.right,
        scores={score.name: score.value if score.state == "ok" else score.state for score in scores},
        states={score.name: score.state for score in scores if score.state != "ok"},
        label=judgement.label,
        error=error,
        error_node=row.error.node if row.error else None,
        duration=duration_of(row, first) if row.status == "completed" else None,
        cached=uses_cache(row),
        usage=row.usage + row.cached_usage,
    )
