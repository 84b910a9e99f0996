"""Verbs on gates: judge a recorded experiment, bless a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from msgspec import structs

from pilothouse.core.errors import ConfigError, Conflict, NotFound, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.types import Procedure
from pilothouse.experiments.analysis.compilation import ArmResult
from pilothouse.experiments.gates.baselines import Baselines, aligned
from pilothouse.experiments.gates.decide import decide
from pilothouse.experiments.gates.snapshots import snapshot_of
from pilothouse.experiments.gates.types import Candidate, Decision, Snapshot, Spent
from pilothouse.experiments.rules import Gate, MustPass
from pilothouse.experiments.runs.types import DataRef
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import ExperimentRecord
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

MAIN = "main"


class GateService:
    """Gates and baselines of a project.

    Args:
        experiments: What was run and found.
        baselines: What was blessed.
        datasets: Opens data, for rows that a column marks.
    """

    def __init__(self, experiments: ExperimentService, baselines: Baselines, datasets: DatasetService) -> None:
        self._experiments = experiments
        self._baselines = baselines
        self._datasets = datasets

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the gates of a project."""
        baselines = Baselines(services.get(RegistryService), services.get(BlobStore), services.root)
        return cls(services.get(ExperimentService), baselines, services.get(DatasetService))

    def decide(
        self,
        record: ExperimentRecord,
        *,
        variant: str | None = None,
        baseline: str | None = None,
        common_rows: bool = False,
    ) -> Decision:
        """Return what the gate of an experiment says of what was recorded; nothing is run or judged.

        Args:
            record: The experiment, with its gate.
            variant: The arm that is judged, instead of the one that the gate names.
            baseline: A baseline, instead of the one that the gate names.
            common_rows: Compare over other data, on the rows that both have.

        Raises:
            ConfigError: there is no gate, or it does not say which variant or baseline.
            NotFound: there is no such variant, metric or baseline.
            Conflict: the experiment has not ended, or the baseline is over other data.
        """
        gate = record.definition.gate
        if gate is None:
            raise ConfigError(
                f"the experiment '{record.ref}' has no gate",
                where=record.definition.path,
                fix="write one: gate: {metrics: {accuracy: {at_least: 0.8}}}; then name the file instead of the number",
            )
        candidate = self._candidate(record, gate, variant or gate.variant)
        sides, notes = None, list[str]()
        if gate.wants_baseline:
            blessed = self._baselines.get(baseline or gate.baseline or MAIN, record.name)
            sides, notes = aligned(blessed, candidate.snapshot, common_rows=common_rows)
        decision = decide(gate, candidate, sides, _procedure(record, gate))
        return structs.replace(decision, notes=tuple(notes), report=record.report)

    def bless(
        self, ref: str, *, variant: str | None = None, alias: str = MAIN, file: Path | None = None
    ) -> tuple[Snapshot, Version]:
        """Keep an arm of an experiment as a baseline under an alias; what the alias meant before stays.

        Args:
            ref: The experiment.
            variant: The arm; the one its gate names when absent.
            alias: What gates call it.
            file: Write it there, too, for a checkout that has no records.

        Raises:
            NotFound: there is no such experiment or variant.
            Conflict: it has not been run to its end.
        """
        record = self._experiments.get(ref)
        gate = record.definition.gate
        arm = self._arm(record, variant or (gate.variant if gate is not None else None))
        snapshot = snapshot_of(record.ref, arm)
        version = self._baselines.bless(snapshot, alias)
        if file is not None:
            self._baselines.write(snapshot, file)
        return snapshot, version

    def _candidate(self, record: ExperimentRecord, gate: Gate, variant: str | None) -> Candidate:
        arm = self._arm(record, variant)
        found = self._experiments.comparison(record.id)
        took = found.arm(arm.variant.name)
        return Candidate(
            snapshot=snapshot_of(record.ref, arm),
            metrics=found.metrics,
            spent=Spent(rows=took.rows, failed=took.failed, usage=took.usage, cost=took.cost, unpriced=took.unpriced),
            must_pass=self.marked(gate.must_pass, arm) if gate.must_pass is not None else None,
        )

    def _arm(self, record: ExperimentRecord, variant: str | None) -> ArmResult:
        if record.definition.sequential is not None:
            raise Conflict(
                f"the experiment '{record.ref}' stops by what it sees: a gate at a fixed number of rows would be wrong "
                "too often, and its rows are no baseline for one",
                where=record.definition.path,
                fix="run all rows in a file of its own, and gate or bless that: extends: THIS FILE, sequential: null",
            )
        if record.comparison is None or record.status in {"running", "interrupted"}:
            raise Conflict(
                f"the experiment '{record.ref}' has not been run to its end",
                fix=f"go on with it: pilothouse experiment run {record.definition.path}",
            )
        arms = {arm.variant.name: arm for arm in self._experiments.arms(record)}
        if variant is None and len(arms) > 1:
            raise ConfigError(
                f"the experiment '{record.ref}' has {len(arms)} variants, and nothing says which one is meant",
                where=record.definition.path,
                expected=", ".join(arms),
                fix="name it: gate: {variant: NAME}, or --variant NAME",
            )
        name = next(iter(arms)) if variant is None else variant
        if name not in arms:
            raise NotFound(f"the experiment '{record.ref}' has no variant '{name}'", expected=nearest_hint(name, arms))
        return arms[name]

    def marked(self, rule: MustPass, arm: ArmResult) -> tuple[str, ...]:
        """Return the ids of the rows that have to be right: those named, and those that columns mark."""
        ids = [str(id_) for id_ in rule.ids]
        if rule.where and arm.run.data is not None:
            ids += self._where(rule, arm.run.data)
        return tuple(dict.fromkeys(ids))

    def _where(self, rule: MustPass, kept: DataRef) -> list[str]:
        data = self._datasets.open(kept.source, id_column=kept.id_column)
        if data.digest != kept.digest:
            raise Conflict(
                "the data has changed since the experiment ran, so its columns do not tell which rows must pass",
                where=kept.source,
                fix="put it back, run the experiment again, or name the rows: must_pass: {ids: [...]}",
            )
        columns = [column.name for column in data.columns]
        for name in rule.where:
            if name not in columns:
                raise ConfigError(
                    f"must_pass asks for the column '{name}', which the data does not have",
                    where=kept.source,
                    expected=nearest_hint(name, columns),
                )
        return [row.id for row in data if all(_is(row.data.get(name), value) for name, value in rule.where.items())]


def _is(found: object, wanted: object) -> bool:
    """Return whether a cell is the value of a rule; a CSV file knows true and 1 as texts."""
    if isinstance(wanted, bool) and isinstance(found, str):
        return found.strip().lower() == str(wanted).lower()
    return found == wanted or (isinstance(found, str) and not isinstance(wanted, str) and found == str(wanted))


def _procedure(record: ExperimentRecord, gate: Gate) -> Procedure:
    asked = record.definition
    return Procedure(alpha=gate.alpha or asked.alpha, resamples=asked.resamples, seed=asked.seed)
