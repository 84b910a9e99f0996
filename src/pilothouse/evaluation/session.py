"""One evaluation of one run: rows are scored as they come, figures over all of them are made at the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from msgspec import structs

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.evaluator import Aggregated, Evaluator, Judged
from pilothouse.evaluation.figures import Suggestions
from pilothouse.evaluation.types import UPSTREAM, Estimate, EvaluationResult, EvaluationRow, Score, ScoredRow
from pilothouse.flows.results import ErrorInfo


class EvaluationSession:
    """Loaded evaluators at work; an async context manager. Rows may be scored concurrently and in any order.

    Args:
        evaluators: The evaluators.
        keeps_rows: Whether the result holds the rows; where they are kept elsewhere, memory stays flat but for what
            evaluators that aggregate need.
    """

    def __init__(self, evaluators: Sequence[Evaluator], *, keeps_rows: bool = True) -> None:
        twice = next((n for n, times in Counter(e.name for e in evaluators).items() if times > 1), None)
        if twice is not None:
            raise ConfigError(f"two evaluators are named '{twice}'", fix="give each its own name")
        self._evaluators = tuple(evaluators)
        self._stack = AsyncExitStack()
        self._rows: dict[int, ScoredRow] | None = {} if keeps_rows else None
        self._suggestions = Suggestions()
        self._judged: dict[str, dict[int, Judged]] = {e.name: {} for e in evaluators if e.aggregates}

    async def __aenter__(self) -> Self:
        try:
            for evaluator in self._evaluators:
                await self._stack.enter_async_context(evaluator)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def score(self, row: EvaluationRow, number: int) -> ScoredRow:
        """Return all scores of one row; ``number`` is its place in the run, which the result keeps to."""
        if len(self._evaluators) == 1:
            judged = [await self._judge(self._evaluators[0], row, number)]
        else:
            judged = await asyncio.gather(*(self._judge(evaluator, row, number) for evaluator in self._evaluators))
        scores = tuple(
            structs.replace(score, evaluator=evaluator.name, evaluator_version=evaluator.version)
            for evaluator, item in zip(self._evaluators, judged, strict=True)
            for score in item.scores
        )
        scored = ScoredRow(id=row.id, scores=scores, cluster=row.cluster)
        self._note(scored, number)
        for evaluator, item in zip(self._evaluators, judged, strict=True):
            if evaluator.aggregates:
                self._judged[evaluator.name][number] = item
        return scored

    def recall(self, row: ScoredRow, number: int, judged: Judged) -> None:
        """Take a row that was scored before: its scores, its place, and what the session's only evaluator answered."""
        self._note(row, number)
        self._judged[self._evaluators[0].name][number] = judged

    def judged(self, evaluator: str, number: int) -> Judged | None:
        """Return what an evaluator that aggregates made of a row."""
        return self._judged.get(evaluator, {}).get(number)

    async def finish(self) -> EvaluationResult:
        """Return all rows in their order, the metrics they allow, and what evaluators made of all rows."""
        rows = () if self._rows is None else tuple(self._rows[number] for number in sorted(self._rows))
        seen = self._suggestions if self._rows is None else Suggestions.of(rows)
        metrics = seen.metrics(
            {evaluator.name: evaluator.metrics for evaluator in self._evaluators},
            {evaluator.name: evaluator.better for evaluator in self._evaluators},
        )
        taken = {metric.name for metric in metrics}
        return EvaluationResult(
            rows=rows,
            metrics=metrics,
            aggregates=_told_apart([item for e in self._evaluators for item in await self._aggregate(e)], taken),
            versions={evaluator.name: evaluator.version for evaluator in self._evaluators},
        )

    def _note(self, row: ScoredRow, number: int) -> None:
        if self._rows is None:
            self._suggestions.add(row)
        else:
            self._rows[number] = row

    async def _judge(self, evaluator: Evaluator, row: EvaluationRow, number: int) -> Judged:
        arguments = row.arguments.get(evaluator.name, {})
        if row.failure is None:
            return await evaluator.judge(arguments, number)
        return _upstream(evaluator, arguments, row.failure)

    async def _aggregate(self, evaluator: Evaluator) -> list[tuple[str, Estimate]]:
        if not evaluator.aggregates:
            return []
        by_number = self._judged[evaluator.name]
        judged = [by_number[number] for number in sorted(by_number)]
        completed = [item for item in judged if item.completed]
        if completed:
            found = await evaluator.aggregate(completed)
        else:
            found = Aggregated(figures={}, faults={evaluator.name: "no row to aggregate"})
        reasons = Counter(_reason(item.scores) for item in judged if not item.completed)
        return [(evaluator.name, item) for item in _estimates(found, len(completed), dict(sorted(reasons.items())))]


def _upstream(evaluator: Evaluator, arguments: Mapping[str, Any], failure: ErrorInfo) -> Judged:
    error = ErrorInfo(type=UPSTREAM, message=f"{failure.type}: {failure.message}", node=failure.node)
    score = structs.replace(evaluator.unanswered(arguments), state="error", error=error)
    return Judged(scores=(score,), completed=False)


def _reason(scores: Sequence[Score]) -> str:
    return "failed" if any(score.failed_upstream for score in scores) else "error"


def _estimates(found: Aggregated, n: int, excluded: dict[str, int]) -> Iterable[Estimate]:
    for name, value in found.figures.items():
        yield Estimate(name=name, value=value, n=n, excluded=excluded, note="made by the evaluator; no interval")
    for name, fault in found.faults.items():
        yield Estimate(name=name, value=None, n=n, excluded=excluded, note=fault)


def _told_apart(found: Sequence[tuple[str, Estimate]], taken: set[str]) -> tuple[Estimate, ...]:
    """Prefix names that occur twice, or as a metric, with the evaluator's."""
    times = Counter(item.name for _, item in found)
    return tuple(
        structs.replace(item, name=f"{evaluator}.{item.name}") if times[item.name] > 1 or item.name in taken else item
        for evaluator, item in found
    )
