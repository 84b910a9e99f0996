"""Queues made of rows, and labels made into datasets."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import msgspec

from pilothouse.core.errors import ConfigError, DataError, NotFound, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.annotation.question import Question, storable
from pilothouse.evaluation.annotation.service import KIND, ReviewService
from pilothouse.evaluation.annotation.types import Item, Queue, QueueSpec
from pilothouse.evaluation.judges.options import judge_options
from pilothouse.evaluation.types import Score
from pilothouse.experiments.annotation.files import csv_bytes, jsonl_bytes, labelled_rows
from pilothouse.experiments.annotation.selection import chosen
from pilothouse.experiments.annotation.sources import RowFinder, Rows
from pilothouse.experiments.annotation.types import Ask, Candidate, Exported
from pilothouse.experiments.design.preparation import Preparer
from pilothouse.experiments.gates.service import GateService
from pilothouse.experiments.runs.lineage import slug
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.service import ExperimentService
from pilothouse.registry.service import RegistryService

_JUDGES = {"judge", "pairwise"}


class QueueMaker:
    """Makes queues of rows, and datasets of labels.

    Args:
        reviews: Keeps queues.
        finder: Finds rows.
        gates: Knows which rows have to be right.
        preparer: Opens the data of runs.
        datasets: Keeps datasets.
        registry: Knows what was made of what.
        state: A folder for temporary files.
    """

    def __init__(
        self,
        *,
        reviews: ReviewService,
        finder: RowFinder,
        gates: GateService,
        preparer: Preparer,
        datasets: DatasetService,
        registry: RegistryService,
        state: Path,
    ) -> None:
        self._reviews = reviews
        self._finder = finder
        self._gates = gates
        self._preparer = preparer
        self._datasets = datasets
        self._registry = registry
        self._state = state

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the maker of a project."""
        datasets = services.get(DatasetService)
        return cls(
            reviews=services.get(ReviewService),
            finder=RowFinder(services.get(RunService), services.get(ExperimentService), datasets),
            gates=services.get(GateService),
            preparer=services.get(Preparer),
            datasets=datasets,
            registry=services.get(RegistryService),
            state=services.state,
        )

    def create(self, ask: Ask) -> Queue:
        """Make a queue; what its items show is copied now.

        Raises:
            UserError: what is asked for is not there, does not fit together, or leaves no row.
        """
        rows = self._finder.find(ask)
        question, judge = self._question(ask, rows)
        if (question.kind == "pairwise") != (rows.others is not None):
            raise ConfigError(
                "a question of pairs compares two sides"
                if rows.others is None
                else f"two sides are compared, and the question is {question.kind}",
                fix="--against NAME says what with" if rows.others is None else "--kind pairwise",
            )
        picked, choosing = chosen(rows.candidates, ask.filters, self._must_pass(ask, rows), ask.seed)
        reference = self._reference(ask, rows, picked)
        items = [_item(ask, row, rows.others, reference, judge) for row in picked]
        spec = QueueSpec(
            name=ask.name,
            question=question,
            overlap=ask.overlap,
            seed=ask.seed,
            reveals=ask.reveals,
            lease=ask.lease,
            source=msgspec.structs.replace(rows.source, judge=judge, judge_version=_version(picked, judge)),
            choosing=choosing,
        )
        queue = self._reviews.create(spec, items)
        for origin in rows.origins:
            self._registry.link(origin, self._ref(queue), "input")
        return queue

    def export(self, name: str, *, dataset: str = "", file: Path | None = None, named: bool = False) -> Exported:
        """Make a dataset version of a queue's labels; equal labels make no new one.

        Args:
            name: The queue.
            dataset: The dataset; the queue's name with ``-labels`` when empty.
            file: A CSV or JSONL file that is written as well.
            named: Whether reviewers keep their names; else a number stands for each.

        Raises:
            DataError: nothing is labelled yet.
            UserError: the file has another ending.
            StorageError: the disk is full.
        """
        queue = self._reviews.get(name)
        finals = self._reviews.finals(queue)
        rows = labelled_rows(queue, [final for final in finals if final.decision != "none"], named=named)
        if not rows:
            raise DataError(f"nothing of '{name}' is labelled yet", fix=f"pilothouse review label {name}")
        if file is not None:
            _write(file, rows)
        with tempfile.TemporaryDirectory(prefix="labels-", dir=self._state) as folder:
            path = Path(folder) / "labels.jsonl"
            path.write_bytes(jsonl_bytes(rows))
            version, is_new = self._datasets.add(
                dataset or f"{slug(name)}-labels",
                str(path),
                id_column="id",
                source=f"{self._ref(queue)}, {queue.rubric}",
            )
        target = f"dataset/{version.name}:{version.number}"
        self._registry.link(self._ref(queue), target, "labelled_in")
        self._registry.link(queue.rubric, target, "asked_in")
        for edge in self._registry.lineage(self._ref(queue), "up", depth=1):
            if edge.relation == "input" and edge.source != target:
                self._registry.link(edge.source, target, "input")
        return Exported(
            dataset=version.ref,
            is_new=is_new,
            rows=len(rows),
            labelled=sum(final.label is not None for final in finals),
            left_out=len(finals) - len(rows),
            file=None if file is None else str(file),
        )

    def _ref(self, queue: Queue) -> str:
        return self._registry.resolve(f"{KIND}/{queue.name}#{queue.digest}").ref

    def _question(self, ask: Ask, rows: Rows) -> tuple[Question, str]:
        """Return what is asked, and the judge whose opinions are recorded."""
        uses = {} if rows.record is None else {use.spec.name: use for use in rows.record.definition.evaluators}
        if not ask.judge:
            if ask.question is None:
                raise ConfigError("nothing is asked", expected="--question TEXT, --rubric FILE, or --judge NAME")
            return ask.question, ""
        judges = [name for name, use in uses.items() if use.spec.source in _JUDGES]
        if ask.judge not in judges:
            raise NotFound(
                f"the experiment has no judge '{ask.judge}'",
                expected=nearest_hint(ask.judge, judges) if judges else None,
            )
        spec = uses[ask.judge].spec
        options = judge_options(spec.options, spec.where)
        asked = msgspec.structs.replace(Question.of_rubric(options.rubric()), kind=_kind(spec.source, options.kind))
        question = ask.question or asked
        if (question.kind, question.levels) != (asked.kind, asked.levels):
            raise ConfigError(
                f"the judge '{ask.judge}' answers on another scale than the question",
                expected=f"kind: {asked.kind}",
                fix="leave the question out to ask what the judge is asked, or leave out --judge",
            )
        # A judge of pairs compares with what its own mapping names, which need not be what reviewers see.
        return question, "" if asked.kind == "pairwise" else ask.judge

    def _must_pass(self, ask: Ask, rows: Rows) -> Collection[str]:
        if not ask.filters.must_pass or rows.record is None or rows.arm is None:
            return ()
        gate = rows.record.definition.gate
        if gate is None or gate.must_pass is None:
            raise ConfigError(f"the gate of '{rows.record.ref}' names no rows that have to be right")
        return set(self._gates.marked(gate.must_pass, rows.arm))

    def _reference(self, ask: Ask, rows: Rows, picked: Iterable[Candidate]) -> dict[int, dict[str, Any]]:
        """Return the columns that say what is right, by the row's place in the data."""
        if not ask.reference:
            return {}
        data = self._datasets.find(ask.data) if rows.run is None else self._preparer.data_of(rows.run)
        if data is None:
            raise ConfigError("the run has no data of its own to take a reference from")
        known = [column.name for column in data.columns]
        for name in ask.reference:
            if name not in known:
                raise NotFound(f"the data has no column '{name}'", expected=nearest_hint(name, known))
        wanted = {row.number for row in picked}
        return {
            row.number: {name: row.data[name] for name in ask.reference if name in row.data}
            for row in data
            if row.number in wanted
        }


def _kind(source: str, kind: Any) -> Any:
    return "pairwise" if source == "pairwise" else kind


def _item(
    ask: Ask,
    row: Candidate,
    others: Mapping[str, Mapping[str, Any]] | None,
    reference: Mapping[int, dict[str, Any]],
    judge: str,
) -> Item:
    other = None if others is None else _only(others.get(row.id, {"(no answer)": "there is no such row"}), ask.outputs)
    opinion = _opinion(row, judge)
    return Item(
        id=storable(row.id),
        inputs=_only(row.inputs, ask.inputs),
        outputs=_only(row.outputs, ask.outputs),
        other=other,
        reference=storable(reference.get(row.number, {})),
        opinion=None if opinion is None or isinstance(opinion.value, str) else opinion.value,
        reason=storable(_reason(opinion.evidence)) if opinion is not None else "",
    )


def _only(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found = {name: value for name, value in values.items() if not names or name in names or name == "(no answer)"}
    if values and not found:
        raise NotFound(f"there is no '{names[0]}' in a row", expected=nearest_hint(names[0], values))
    return storable(found)


def _opinion(row: Candidate, judge: str) -> Score | None:
    return next((score for score in row.scores if judge and score.name == judge and score.state == "ok"), None)


def _version(rows: Iterable[Candidate], judge: str) -> str:
    return next((score.evaluator_version for row in rows for score in row.scores if judge and score.name == judge), "")


def _reason(evidence: Any) -> str:
    """Return the first reason that a judge gave, as its evidence keeps them."""
    if not isinstance(evidence, Mapping):
        return ""
    kept = cast("Mapping[str, Any]", evidence)
    answers: list[dict[str, Any]] = [*kept.get("answers", ()), *kept.get("candidate_first", ())]
    return next((str(answer["reason"]) for answer in answers if answer.get("reason")), "")


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    made = {".csv": csv_bytes, ".jsonl": jsonl_bytes}.get(file.suffix.lower())
    if made is None:
        raise UserError(
            f"labels are not written as {file.suffix or 'a file without an ending'}", expected=".csv or .jsonl"
        )
    write_atomic(file, made(rows))
