"""Where experiments are kept: records, comparisons, lineage, report files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import structs

from pilothouse.core.canonical import digest
from pilothouse.core.errors import Conflict, NotFound
from pilothouse.core.ids import new_id
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.evaluation.sequential.types import LooksReport
from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.design.preparation import Prepared
from pilothouse.experiments.reports.files import ReportFiles, write_reports
from pilothouse.experiments.runs.lineage import registered_as
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.scoring import Judge
from pilothouse.experiments.settings import ExperimentSettings, ReportFormat
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import ExperimentRecord, ExperimentStatus
from pilothouse.registry.service import RegistryService

KIND = "experiment"


class Archive:
    """Keeps what experiments were, found and wrote.

    Args:
        store: Records.
        blobs: Comparisons.
        registry: Versions and lineage.
        settings: How to report.
        root: The project's folder.
    """

    def __init__(
        self,
        *,
        store: ExperimentStore,
        blobs: BlobStore,
        registry: RegistryService,
        settings: ExperimentSettings,
        root: Path,
    ) -> None:
        self.store = store
        self._blobs = blobs
        self._registry = registry
        self._settings = settings
        self._root = root

    def begin(self, prepared: Prepared, actor: str, now: datetime) -> ExperimentRecord:
        """Record that an experiment runs; the same content is the same version and the same record as before."""
        experiment = prepared.experiment
        metadata = {"path": experiment.path, "variants": [arm.variant.name for arm in prepared.arms]}
        version, _ = self._registry.register(KIND, experiment.name, prepared.digest, metadata=metadata)
        before = self.store.find(experiment.name, version.number)
        record = ExperimentRecord(
            id=before.id if before else new_id(),
            name=experiment.name,
            number=version.number,
            digest=prepared.digest,
            status="running",
            definition=experiment,
            comparison=before.comparison if before else None,
            report=before.report if before else None,
            created_by=before.created_by if before else actor,
            created_at=before.created_at if before else now,
            updated_at=now,
        )
        self.store.save(record)
        return record

    def recorded(self, prepared: Prepared) -> ExperimentRecord:
        """Return the record of what an experiment file says now.

        Raises:
            Conflict: it has not been run so.
        """
        name = prepared.experiment.name
        try:
            number = self._registry.resolve(f"{KIND}/{name}#{prepared.digest}").number
        except NotFound:
            number = 0
        found = self.store.find(name, number)
        if found is None:
            raise Conflict(
                f"the experiment '{name}' has not been run as its file says now",
                where=prepared.experiment.path,
                fix=f"pilothouse experiment run {prepared.experiment.path}; "
                f"what was run with other options is named by its number: {name}:1",
            )
        return structs.replace(found, definition=prepared.experiment)

    def settle(self, record: ExperimentRecord, status: ExperimentStatus, now: datetime) -> ExperimentRecord:
        """Record how an experiment stands."""
        settled = structs.replace(record, status=status, updated_at=now)
        self.store.save(settled)
        return settled

    def keep(self, record: ExperimentRecord, found: ExperimentComparison) -> ExperimentRecord:
        """Keep what an experiment found."""
        # MessagePack, because JSON has no infinity and a metric may be unbounded.
        kept = structs.replace(record, comparison=self._blobs.put(msgspec.msgpack.encode(found)))
        self.store.save(kept)
        return kept

    def comparison(self, record: ExperimentRecord) -> ExperimentComparison:
        """Return what an experiment found when it was last run to its end.

        Raises:
            Conflict: it has not been yet.
        """
        if record.comparison is None:
            raise Conflict(
                f"the experiment '{record.ref}' has not been run to its end yet",
                fix=f"go on with it: pilothouse experiment run {record.definition.path}",
            )
        return msgspec.msgpack.decode(self._blobs.get(record.comparison), type=ExperimentComparison)

    def looks(self, record: ExperimentRecord) -> LooksReport | None:
        """Return what a sequential experiment saw at its looks; None of any other, or of one that has not ended."""
        if record.definition.sequential is None or record.comparison is None:
            return None
        return self.comparison(record).looks

    def write(
        self,
        record: ExperimentRecord,
        found: ExperimentComparison,
        rows: Callable[[], Iterable[RowView]],
        formats: Iterable[ReportFormat] = (),
    ) -> tuple[ExperimentRecord, ReportFiles]:
        """Write the reports of an experiment, in ``formats`` too, and record where they are."""
        folder = Path(self._settings.reports) / record.name / str(record.number)
        wanted: set[ReportFormat] = {*self._settings.report_formats, *formats}
        files = write_reports(self._root / folder, found, rows, self._settings.report_rows, wanted)
        reported = structs.replace(record, report=folder.as_posix())
        self.store.save(reported)
        return reported, files

    def link(self, record: ExperimentRecord, runs: Iterable[Run], judges: Iterable[Judge]) -> None:
        """State which runs an experiment compares, over which data, and which evaluators judged them."""
        target = f"{KIND}/{record.name}:{record.number}"
        served: dict[str, None] = {}
        for run in runs:
            self._registry.link(f"run/{run.name}", target, "compared_in")
            served |= dict.fromkeys(_served_by(run))
        for data in served:
            self._registry.link(data, target, "data_of")
        for judge in judges:
            metadata = {"version": judge.evaluator.version}
            # The version of a plug-in's evaluator may have any form; its digest has the registry's.
            content = digest(judge.evaluator.version)
            version, _ = self._registry.register("evaluator", judge.evaluator.name, content, metadata=metadata)
            self._registry.link(version, target, "evaluated_by")


def _served_by(run: Run) -> list[str]:
    """Return the references of the datasets that a run is over."""
    known = () if run.data is None else run.data.parts or (run.data,)
    return [registered_as(data) for data in known if data.version is not None]
