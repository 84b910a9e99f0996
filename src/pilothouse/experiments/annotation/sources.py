"""Rows of runs, of experiments and of data, as they may become items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import ConfigError, Conflict, NotFound, nearest_hint
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.annotation.types import Source
from pilothouse.evaluation.types import Score
from pilothouse.experiments.analysis.compilation import ArmResult
from pilothouse.experiments.analysis.judgements import Judgements
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.annotation.types import Ask, Candidate
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import FINISHED, Run, RunRow
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import ExperimentRecord


class Rows(Struct, frozen=True, kw_only=True):
    """What a queue may be made of.

    Attributes:
        candidates: Rows of the side that is judged.
        others: Of pairs, id -> the answer of the other side.
        run: The run that made them; None for plain data.
        record: The experiment that it belongs to.
        arm: Of an experiment, the arm that is judged.
        source: What the queue remembers.
        origins: References of all that the queue is made from.
    """

    candidates: tuple[Candidate, ...]
    others: Mapping[str, Mapping[str, Any]] | None
    source: Source
    run: Run | None = None
    record: ExperimentRecord | None = None
    arm: ArmResult | None = None
    origins: tuple[str, ...] = ()


class RowFinder:
    """Finds the rows that are asked for.

    Args:
        runs: Runs.
        experiments: Experiments.
        datasets: Data.
    """

    def __init__(self, runs: RunService, experiments: ExperimentService, datasets: DatasetService) -> None:
        self._runs = runs
        self._experiments = experiments
        self._datasets = datasets

    def find(self, ask: Ask) -> Rows:
        """Return the rows.

        Raises:
            ConfigError: not exactly one source is named, or it cannot be compared as asked.
            NotFound: it is not there.
            Conflict: it has not ended, or its scores are gone.
        """
        if sum(map(bool, (ask.run, ask.experiment, ask.data))) != 1:
            raise ConfigError("say what is to be labelled", expected="one of --run, --experiment and --data")
        if ask.experiment:
            return self._of_experiment(ask)
        wants_scores = ask.judge or ask.filters.disagree or ask.filters.must_pass
        if wants_scores or ask.variant:
            raise ConfigError(
                "only an experiment has variants, judges, arms and a gate", fix="choose from one: --experiment NAME"
            )
        return self._of_run(ask) if ask.run else self._of_data(ask)

    def _of_run(self, ask: Ask) -> Rows:
        run = _ended(self._runs.get(ask.run))
        other = _ended(self._runs.get(ask.against)) if ask.against else None
        if other is not None and (run.data and run.data.digest) != (other.data and other.data.digest):
            raise Conflict(f"'{run.name}' and '{other.name}' are not over the same data", fix="compare runs that are")
        refs = tuple(f"run/{item.name}" for item in (run, other) if item is not None)
        return Rows(
            candidates=tuple(_candidate(row, run.repeat) for row in self._runs.rows(run)),
            others=None if other is None else {c.id: c.outputs for c in self._answers(other)},
            run=run,
            source=Source(
                ref=refs[0],
                label=f"run {run.name}",
                candidate=run.name if other is not None else "",
                baseline=other.name if other is not None else "",
            ),
            origins=refs,
        )

    def _of_experiment(self, ask: Ask) -> Rows:
        record = self._experiments.get(ask.experiment)
        comparison = self._experiments.comparison(record.id)
        arms = {arm.variant.name: arm for arm in self._experiments.arms(record)}
        base = ask.against or record.definition.baseline
        rest = [name for name in arms if name != base]
        pairs = bool(ask.against) or (ask.question is not None and ask.question.kind == "pairwise")
        name = ask.variant or (rest[0] if pairs and len(rest) == 1 else "" if pairs else base)
        for wanted in (name, base):
            if wanted not in arms:
                raise NotFound(
                    f"'{record.ref}' has no variant '{wanted}'" if wanted else "say which variant is the candidate",
                    expected=nearest_hint(wanted, arms) if wanted else ", ".join(rest),
                    fix="--variant NAME" if not wanted else None,
                )
        if pairs and name == base:
            raise ConfigError(f"'{name}' cannot be compared with itself", expected=f"--variant: {', '.join(rest)}")
        judged = [Judgements(comparison.metrics[0], arm.scored) for arm in arms.values()]
        arm = arms[name]
        scores = {row.id: row.scores for row in arm.scored}
        return Rows(
            candidates=tuple(
                _candidate(row, arm.run.repeat, scores.get(evaluation_id(row, arm.run.repeat), ()), judged)
                for row in arm.recorded.rows()
            ),
            others={c.id: c.outputs for c in self._answers(arms[base].run)} if pairs else None,
            run=arm.run,
            record=record,
            arm=arm,
            source=Source(
                ref=f"experiment/{record.ref}",
                label=f"experiment {record.ref}" + ("" if pairs else f", {name}"),
                candidate=name if pairs else "",
                baseline=base if pairs else "",
            ),
            origins=(f"experiment/{record.ref}", f"run/{arm.run.name}")
            + ((f"run/{arms[base].run.name}",) if pairs else ()),
        )

    def _of_data(self, ask: Ask) -> Rows:
        if ask.against:
            raise ConfigError("plain data has one answer a row", fix="compare two runs: --run A --against B")
        data = self._datasets.find(ask.data)
        known = [column.name for column in data.columns]
        for name in (*ask.inputs, *ask.outputs, *ask.reference):
            if name not in known:
                raise NotFound(f"the data has no column '{name}'", expected=nearest_hint(name, known))
        answer = {*ask.outputs, *ask.reference}
        version = data.version
        return Rows(
            candidates=tuple(
                Candidate(
                    id=row.id,
                    line=row.id,
                    number=row.number,
                    inputs={name: value for name, value in row.data.items() if name not in answer},
                    outputs={name: row.data[name] for name in ask.outputs if name in row.data},
                )
                for row in data
            ),
            others=None,
            source=Source(
                ref=ask.data if version is None else f"dataset/{version.name}:{version.number}", label=ask.data
            ),
            origins=() if version is None else (f"dataset/{version.name}:{version.number}",),
        )

    def _answers(self, run: Run) -> Iterator[Candidate]:
        return (_candidate(row, run.repeat) for row in self._runs.rows(run))


def _candidate(row: RunRow, repeat: int, scores: Sequence[Score] = (), judged: Sequence[Judgements] = ()) -> Candidate:
    id_ = evaluation_id(row, repeat)
    failed = row.status != "completed"
    why = f"{row.error.type}: {row.error.message}" if row.error else f"the row is {row.status}"
    return Candidate(
        id=id_,
        line=row.line_id,
        number=row.number,
        inputs=row.inputs,
        outputs={"(no answer)": why} if failed else row.outputs,
        failed=failed,
        scores=scores,
        judged=[arm[id_] for arm in judged],
    )


def _ended(run: Run) -> Run:
    if run.status not in FINISHED:
        raise Conflict(f"the run '{run.name}' is {run.status}", fix="wait for it, or cancel it")
    return run
