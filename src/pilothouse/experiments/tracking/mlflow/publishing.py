"""An experiment as MLflow runs: one for the experiment, and one inside it for every arm.

What carries the same digest is the same experiment: logged again, its runs are written again and not doubled, so a
server that went away in the middle is made good by the same command.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.core.environment import Environment
from pilothouse.core.errors import Conflict, UserError
from pilothouse.core.services import Services
from pilothouse.core.version import VERSION
from pilothouse.experiments.reports.exports.document import write_document
from pilothouse.experiments.tracking.mlflow import limits
from pilothouse.experiments.tracking.mlflow.connecting import Server, connected
from pilothouse.experiments.tracking.mlflow.evaluation_table import FILE, write_tables
from pilothouse.experiments.tracking.mlflow.registering import log_model, register_prompts
from pilothouse.experiments.tracking.types import Logged, Tracked, TrackedArm

DIGEST: Final = "pilothouse.digest"
REF: Final = "pilothouse.ref"
VARIANT: Final = "pilothouse.variant"
PARENT: Final = "mlflow.parentRunId"
TABLES: Final = "mlflow.loggedArtifacts"


class _Entry(Struct, frozen=True, kw_only=True):
    """A run of the server: its id, the params it has, and whether it was there before."""

    id: str
    params: dict[str, str]
    existed: bool
    tags: dict[str, str]


class MlflowTracker:
    """Logs experiments to one server.

    Args:
        services: The project, whose flows become models.
        address: Where the server is.
        environment: Holds what gives access.
    """

    def __init__(self, services: Services, address: str, environment: Environment) -> None:
        self._services = services
        self._address = address
        self._environment = environment

    def log(self, tracked: Tracked, group: str | None = None) -> Logged:
        """Log an experiment; see `Tracker.log`."""
        with (
            connected(self._address, self._environment) as server,
            tempfile.TemporaryDirectory(prefix="pilothouse-") as folder,
        ):
            return _Publication(self._services, server, tracked, Path(folder)).publish(group or tracked.name)


class _Publication:
    """One experiment on its way to one server."""

    def __init__(self, services: Services, server: Server, tracked: Tracked, folder: Path) -> None:
        self._services = services
        self._server = server
        self._client = server.client
        self._tracked = tracked
        self._folder = folder
        self._notes = list(tracked.notes)
        self._at = int(tracked.at.timestamp() * 1000)

    def publish(self, group: str) -> Logged:
        """Write all runs, and return what became of them."""
        tracked = self._tracked
        home = self._experiment(group)
        known = self._known(home)
        parent = self._entry(home, known.get(""), tracked.ref, {})
        self._describe(parent, tracked.params, tracked.metrics, self._parent_tags())
        self._files(parent)
        tables, rows = write_tables(self._folder, [arm.name for arm in tracked.arms], tracked.records)
        versions: set[str] = set()
        models, entries = 0, [parent]
        for arm in tracked.arms:
            tags = {PARENT: parent.id, VARIANT: arm.name}
            entry = self._entry(home, known.get(arm.name), arm.name, tags)
            entries.append(entry)
            self._arm(entry, arm, tables[arm.name])
            versions |= set(register_prompts(self._server, entry.id, arm.prompts))
            models += self._model(home, entry, arm)
            self._client.set_terminated(entry.id, "FINISHED", self._at)
        # Last: while a server's run is still "running", not all of it is there.
        self._client.set_terminated(parent.id, "FINISHED", self._at)
        return Logged(
            target=f"{self._server.address}/#/experiments/{home}/runs/{parent.id}",
            runs=len(entries),
            updated=sum(entry.existed for entry in entries),
            rows=rows,
            prompts=len(versions),
            models=models,
            notes=tuple(dict.fromkeys(self._notes)),
        )

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        if found.lifecycle_stage != "active":
            raise Conflict(
                f"the experiment '{name}' was deleted on the MLflow server",
                where=self._server.address,
                fix="restore it there, or give another name with --name",
            )
        return str(found.experiment_id)

    def _known(self, home: str) -> dict[str, Any]:
        """Return what the server has of this experiment: variant -> run; the experiment's own under no name."""
        found = self._server.pages(
            self._client.search_runs,
            experiment_ids=[home],
            filter_string=f"tags.`{DIGEST}` = '{self._tracked.digest}'",
        )
        return {run.data.tags.get(VARIANT, ""): run for run in found}

    def _entry(self, home: str, known: Any, name: str, tags: Mapping[str, str]) -> _Entry:
        if known is not None:
            self._client.update_run(known.info.run_id, status="RUNNING")
            return _Entry(id=known.info.run_id, params=known.data.params, existed=True, tags=known.data.tags)
        said = {DIGEST: self._tracked.digest, REF: self._tracked.ref, "mlflow.user": self._tracked.user, **tags}
        made = self._client.create_run(home, run_name=name, tags=said, start_time=self._at)
        return _Entry(id=made.info.run_id, params={}, existed=False, tags={})

    def _describe(
        self, entry: _Entry, params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Write params, figures and tags; a param cannot change on a server, so one that differs is told."""
        make = self._server.entities
        fitting = {limits.entry_name(key): limits.shortened(value, limits.MOST_PARAM) for key, value in params.items()}
        differing = [key for key, value in fitting.items() if entry.params.get(key, value) != value]
        if differing:
            self._notes.append(f"MLflow keeps params as they were first logged: {', '.join(differing)}")
        new = [make.Param(key, value) for key, value in fitting.items() if key not in entry.params]
        figures = [make.Metric(limits.entry_name(key), value, self._at, 0) for key, value in metrics.items()]
        marks = [
            make.RunTag(limits.entry_name(key), limits.shortened(value, limits.MOST_TAG)) for key, value in tags.items()
        ]
        for some in limits.batches(new, limits.MOST_PARAMS):
            self._client.log_batch(entry.id, params=some)
        for some in limits.batches(figures, limits.MOST_METRICS):
            self._client.log_batch(entry.id, metrics=some)
        for some in limits.batches(marks, limits.MOST_PARAMS):
            self._client.log_batch(entry.id, tags=some)
        cut = limits.too_long(params)
        if cut:
            self._notes.append(f"params too long for MLflow are whole in params.json: {', '.join(cut)}")
            self._put(entry.id, "params.json", msgspec.json.encode(cut))

    def _parent_tags(self) -> dict[str, str]:
        found = self._tracked.found
        said = {f"pilothouse.{name}": value for name, value in self._tracked.tags.items() if value}
        note = "\n\n".join((f"**{found.verdict}**", *found.notes))
        return {**said, REF: self._tracked.ref, "pilothouse.version": VERSION, "mlflow.note.content": note}

    def _files(self, parent: _Entry) -> None:
        self._put(parent.id, "report.json", write_document(self._tracked.found))
        for file in self._tracked.files:
            if file.is_file():
                self._client.log_artifact(parent.id, str(file))

    def _arm(self, entry: _Entry, arm: TrackedArm, table: Path) -> None:
        tags = {f"pilothouse.{name}": value for name, value in arm.tags.items()}
        self._describe(entry, arm.params, arm.metrics, {**tags, REF: self._tracked.ref})
        if arm.data is not None:
            make = self._server.entities
            source = json.dumps({"uri": arm.data.source}, ensure_ascii=False)
            profile = json.dumps({"num_rows": arm.data.rows, "digest": arm.data.digest})
            data = make.Dataset(
                name=arm.data.name[:500], digest=arm.data.digest[:36], source_type="local", source=source,
                profile=profile,
            )  # fmt: skip
            used = make.DatasetInput(data, [make.InputTag("mlflow.data.context", "evaluation")])
            self._client.log_inputs(entry.id, datasets=[used])
        self._client.log_artifact(entry.id, str(table))
        self._client.set_tag(entry.id, TABLES, json.dumps([{"path": FILE, "type": "table"}]))

    def _model(self, home: str, entry: _Entry, arm: TrackedArm) -> int:
        if arm.flow is None:
            return 0
        try:
            log_model(self._services, self._server, (home, entry.id), arm.flow, self._folder)
        except UserError as error:
            self._notes.append(f"no model was logged for {arm.name}: {error.message}")
            return 0
        return 1

    def _put(self, run_id: str, name: str, content: bytes) -> None:
        file = self._folder / name
        file.write_bytes(content)
        self._client.log_artifact(run_id, str(file))


def tagged_tables(tags: Mapping[str, str]) -> Iterable[str]:
    """Return the paths of the tables that a run of the server says it has."""
    try:
        listed: list[dict[str, Any]] = json.loads(tags.get(TABLES, "[]"))
        return [str(item["path"]) for item in listed if item.get("type") == "table"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
