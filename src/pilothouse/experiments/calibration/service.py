"""Calibrate the judge of an experiment: verdicts that were recorded, or given now, beside people's labels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, Conflict, DataError, NotFound, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database
from pilothouse.datasets.service import DatasetService
from pilothouse.datasets.types import Row
from pilothouse.evaluation.calibration.labels import part_of, read_labels
from pilothouse.evaluation.calibration.measure import calibrate, disagreements
from pilothouse.evaluation.calibration.service import CalibrationService
from pilothouse.evaluation.calibration.types import Label
from pilothouse.evaluation.judges.judge import RubricJudge
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluationRow, ScoredRow
from pilothouse.experiments.calibration.types import Ask, Calibrated
from pilothouse.experiments.design.preparation import Preparer
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.scoring import Judge, Scorer
from pilothouse.experiments.settings import ExperimentSettings
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import ExperimentRecord
from pilothouse.models.service import ModelService

OnRow = Callable[[int], None]


class JudgeService:
    """Calibrations of experiments' judges."""

    def __init__(
        self,
        *,
        root: Path,
        preparer: Preparer,
        store: ExperimentStore,
        runs: RunService,
        scorer: Scorer,
        evaluation: EvaluationService,
        datasets: DatasetService,
        calibrations: CalibrationService,
    ) -> None:
        self._root = root
        self._preparer = preparer
        self._store = store
        self._runs = runs
        self._scorer = scorer
        self._evaluation = evaluation
        self._datasets = datasets
        self._calibrations = calibrations

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the service of a project."""
        datasets, evaluation = services.get(DatasetService), services.get(EvaluationService)
        return cls(
            root=services.root,
            preparer=Preparer(
                services.root,
                datasets,
                services.get(ModelService),
                evaluation,
                services.settings.section(ExperimentSettings).defaults,
            ),
            store=ExperimentStore(services.get(Database)),
            runs=services.get(RunService),
            scorer=Scorer(services.state / FOLDER, evaluation),
            evaluation=evaluation,
            datasets=datasets,
            calibrations=services.get(CalibrationService),
        )

    async def calibrate(self, ask: Ask, on_row: OnRow | None = None) -> Calibrated:
        """Compare a judge's verdicts with labels, and keep what comes out.

        With labels that a judge is tuned on (``side="dev"``) nothing is kept, but the disagreements are told; of the
        others they are not: whoever has read them has tuned the judge on them.

        Raises:
            UserError: the experiment, its judge or the labels cannot be used.
            Conflict: the judge has changed since the experiment was run.
            DataError: no labelled row has a verdict.
        """
        path = self._root / ask.source
        if path.is_file():
            judge = _chosen(self._preparer.prepare(path).judges, ask.judge)
            labels, rows = self._labels(ask, judge)
            labels, rows, notes = _unseen(judge, labels, rows)
            scored = await self._judged(judge, rows, on_row)
        else:
            record = self._store.get(ask.source)
            judge = _chosen(
                [self._preparer.judge(use.spec, use.column_mapping) for use in record.definition.evaluators], ask.judge
            )
            labels, _ = self._labels(ask, judge)
            notes = ()
            scored = self._recorded(record, judge, ask.variant)
        asked = _model(judge)
        found = calibrate(judge.evaluator.name, asked.rubric.kind, labels, scored, split=ask.part.split)
        found = replace(found, notes=(*notes, *found.notes))
        if ask.part.side == "dev":
            return Calibrated(calibration=found, disagreements=disagreements(judge.evaluator.name, labels, scored))
        return Calibrated(calibration=found, ref=self._calibrations.keep(found).ref)

    def _labels(self, ask: Ask, judge: Judge) -> tuple[tuple[Label, ...], tuple[Row, ...]]:
        """Return the labels that are used, and all rows of their file."""
        rows = tuple(self._datasets.open(str(ask.labels)))
        labels = part_of(read_labels(rows, _model(judge).rubric, ask.columns, ask.labels.name), ask.part)
        wanted = {label.id for label in labels if label.value is not None}
        first = {id_: row for row in reversed(rows) if (id_ := str(row.data[ask.columns.id])) in wanted}
        return labels, tuple(Row(id=id_, number=row.number, data=row.data) for id_, row in first.items())

    async def _judged(self, judge: Judge, rows: Sequence[Row], on_row: OnRow | None) -> tuple[ScoredRow, ...]:
        if not rows:
            raise DataError("no row of this part has a label", expected="at least one row that people agree on")
        name = judge.evaluator.name
        asked = [EvaluationRow(id=row.id, arguments={name: _material(judge, row)}) for row in rows]
        done = itertools.count(1)
        result = await self._evaluation.evaluate(
            asked, [judge.evaluator], on_row=None if on_row is None else lambda _: on_row(next(done))
        )
        return result.rows

    def _recorded(self, record: ExperimentRecord, judge: Judge, variant: str) -> tuple[ScoredRow, ...]:
        name = variant or record.definition.baseline
        run = next((item.run for item in record.runs if item.variant.name == name), None)
        if run is None:
            known = [item.variant.name for item in record.runs]
            raise NotFound(f"'{record.ref}' has no variant '{name}'", expected=nearest_hint(name, known))
        rows = tuple(self._scorer.stored(self._runs.get(run), judge.evaluator.name).whole())
        if any(score.evaluator_version != judge.evaluator.version for row in rows for score in row.scores):
            raise Conflict(
                f"the judge '{judge.evaluator.name}' is another one than when '{record.ref}' was run",
                fix=f"run the experiment again: pilothouse experiment run {record.definition.path or record.name}",
            )
        return rows


def _chosen(judges: Sequence[Judge], name: str) -> Judge:
    """Return the judge that is meant.

    Raises:
        NotFound: there is none of that name.
        ConfigError: it is no judge, or the name is missing and there are several.
    """
    asking = [judge for judge in judges if isinstance(judge.evaluator, RubricJudge)]
    if not name and len(asking) == 1:
        return asking[0]
    if not name:
        known = ", ".join(judge.evaluator.name for judge in asking)
        raise ConfigError(
            f"the experiment has {len(asking)} judges", expected=known or "an evaluator `judge`", fix="--judge NAME"
        )
    found = next((judge for judge in judges if judge.evaluator.name == name), None)
    if found is None:
        known = [judge.evaluator.name for judge in asking]
        raise NotFound(f"the experiment has no judge '{name}'", expected=nearest_hint(name, known))
    if found not in asking:
        raise ConfigError(f"'{name}' gives no verdicts by a rubric", expected="an evaluator `judge` or `pairwise`")
    return found


def _model(judge: Judge) -> RubricJudge:
    if not isinstance(judge.evaluator, RubricJudge):
        raise ConfigError(f"'{judge.evaluator.name}' is no judge")
    return judge.evaluator


def _unseen(
    judge: Judge, labels: Sequence[Label], rows: Sequence[Row]
) -> tuple[tuple[Label, ...], tuple[Row, ...], tuple[str, ...]]:
    """Return the labels and rows that the judge was not shown as examples, and a note on the others."""
    examples = [example.material for example in _model(judge).rubric.examples]
    shown = {row.id for row in rows if _material(judge, row) in examples}
    if not shown:
        return tuple(labels), tuple(rows), ()
    return (
        tuple(label for label in labels if label.id not in shown),
        tuple(row for row in rows if row.id not in shown),
        (f"left out, for the judge was shown them as examples: {len(shown)} of {len(rows)} labelled rows",),
    )


def _material(judge: Judge, row: Row) -> dict[str, Any]:
    """Return what the judge is shown of a labelled row.

    An argument comes from the column of its own name, else from the column that its mapping names.

    Raises:
        DataError: naming the argument that has no column.
    """
    line = {"data": row.data, "run.inputs": row.data, "run.outputs": row.data, "row": dict[str, Any]()}
    mapping = judge.mapping
    own = {name: row.data[name] for name in mapping.references if name in row.data}
    found = {**mapping.apply(line, optional=mapping.references), **own}
    missing = [name for name in mapping.references if name not in found]
    if missing:
        raise DataError(
            f"the labels do not say what '{missing[0]}' was",
            where=f"row {row.number + 1}",
            expected=f"a column '{missing[0]}'; columns here: {', '.join(row.data)}",
            fix="add it, or calibrate on an experiment that was run: pilothouse judge calibrate NAME ...",
        )
    return found
