"""The verbs of evaluation: load evaluators, and let them judge rows.

Figures and comparisons are pure functions over what comes out: `aggregate` and `compare`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from pilothouse.core import plugins
from pilothouse.core.services import Services
from pilothouse.evaluation.calibration.types import Calibration
from pilothouse.evaluation.calibration.wording import words
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.flow import OpenFlow, flow_opener
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.judges.opinion import ModelJudge
from pilothouse.evaluation.session import EvaluationSession
from pilothouse.evaluation.types import EvaluationResult, EvaluationRow, EvaluatorSpec, ScoredRow
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.service import ModelService

CONCURRENCY = 32

KEEPERS = "evaluation_keepers"
"""The group of those that keep what evaluation needs; found when needed, for they bring the database."""

Record = Callable[[int, ScoredRow], Awaitable[None]]


class Calibrations(Protocol):
    """Knows the calibrations that were made."""

    def latest(self, version: str) -> Calibration | None:
        """Return the last calibration of a judge's version; None for one that was never calibrated."""
        ...


class EvaluationService:
    """Evaluators of a project, and evaluations with them."""

    def __init__(
        self,
        *,
        root: Path,
        open_flow: OpenFlow,
        models: ModelLookup | None = None,
        calibrations: Callable[[], Calibrations] | None = None,
    ) -> None:
        self._root = root
        self._open_flow = open_flow
        self._models = models
        self._calibrations = calibrations

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the service of a project; flows as evaluators find their models in the project's connections."""
        models = services.get(ModelService)
        opener = flow_opener(models, services.settings.section(FlowSettings))
        calibrations = partial(_calibrations, services)
        return cls(root=services.root, open_flow=opener, models=models, calibrations=calibrations)

    def load(self, spec: EvaluatorSpec, arguments: Iterable[str] | None = None) -> Evaluator:
        """Return the evaluator that ``spec`` asks for; ``arguments`` are checked against what it takes.

        Raises:
            NotFound, ConfigError, FlowError, UserCodeError: see `load_evaluator`.
        """
        evaluator = load_evaluator(spec, self._root, self._open_flow, self._models)
        names = tuple(arguments or ())
        if arguments is not None:
            evaluator.parameters.check(names, evaluator.name, spec.where)
        return self.shown(evaluator, names)

    def shown(self, evaluator: Evaluator, names: Iterable[str]) -> Evaluator:
        """Return an evaluator that knows the arguments of its rows: a judge's version depends on them."""
        if isinstance(evaluator, ModelJudge):
            evaluator.shown(names)
            evaluator.calibration = words(self.calibration(evaluator))
        return evaluator

    def calibration(self, evaluator: Evaluator) -> Calibration | None:
        """Return the last calibration of an evaluator's version; None without one."""
        if self._calibrations is None or not isinstance(evaluator, ModelJudge):
            return None
        return self._calibrations().latest(evaluator.version)

    def session(self, evaluators: Sequence[Evaluator]) -> EvaluationSession:
        """Return a session that scores rows one by one, as a run produces them.

        Raises:
            ConfigError: when two evaluators have one name.
        """
        return EvaluationSession(evaluators)

    async def evaluate(
        self,
        rows: Iterable[EvaluationRow],
        evaluators: Sequence[Evaluator],
        *,
        concurrency: int = CONCURRENCY,
        on_row: Callable[[ScoredRow], None] | None = None,
    ) -> EvaluationResult:
        """Let every evaluator judge every row.

        Args:
            rows: Read one by one, as fast as they are judged.
            evaluators: Loaded evaluators.
            concurrency: Rows in flight.
            on_row: Told each row as it is done, in the order in which they are.

        Raises:
            ConfigError: when two evaluators have one name.
        """
        tell = None if on_row is None else partial(_tell, on_row)
        async with self.session(evaluators) as session:
            await score_all(session, enumerate(rows), concurrency=concurrency, record=tell)
            return await session.finish()


async def score_all(
    session: EvaluationSession,
    rows: Iterable[tuple[int, EvaluationRow]],
    *,
    concurrency: int = CONCURRENCY,
    record: Record | None = None,
) -> None:
    """Let the evaluators of an open session judge rows.

    Args:
        session: The session.
        rows: Rows and their places in the run; read one by one, as fast as they are judged.
        concurrency: Rows in flight.
        record: Awaited with the place and the scores of each row as it is done, before its worker takes another.
    """
    numbered = iter(rows)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_work(session, numbered, record))
    except ExceptionGroup as failures:
        # Only `rows` and `record` raise: the caller gets their error as it was.
        raise failures.exceptions[0] from None


async def _work(session: EvaluationSession, rows: Iterator[tuple[int, EvaluationRow]], record: Record | None) -> None:
    for number, row in rows:
        scored = await session.score(row, number)
        if record is not None:
            await record(number, scored)


async def _tell(on_row: Callable[[ScoredRow], None], _: int, row: ScoredRow) -> None:
    on_row(row)


def _calibrations(services: Services) -> Calibrations:
    kind: type[Calibrations] = plugins.load(KEEPERS, "calibrations")
    return services.get(kind)
