"""Records of experiments, to the database and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.storage.sql import Database
from pilothouse.experiments.tables import experiment_runs, experiments
from pilothouse.experiments.types import ExperimentRecord, ExperimentRun, Variant

LATEST = "latest"
SHORTEST_PREFIX = 4
_HINT_NAMES = 200


class ExperimentStore:
    """The tables of experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: ExperimentRecord) -> None:
        """Record an experiment, or replace its record; its runs are linked by `link`."""
        values = _values(record)
        with self._database.begin() as connection:
            changed = connection.execute(experiments.update().where(experiments.c.id == record.id).values(values))
            if not changed.rowcount:
                connection.execute(experiments.insert().values(values))

    def link(self, record_id: str, position: int, run: ExperimentRun, arm: str, at: datetime) -> None:
        """State which run holds the rows of an arm; a later statement replaces an earlier one."""
        values = {
            "experiment_id": record_id,
            "variant": run.variant.name,
            "position": position,
            "choices": run.variant.content,
            "arm": arm,
            "run": run.run,
            "linked_at": at,
        }
        one = (experiment_runs.c.experiment_id == record_id) & (experiment_runs.c.variant == run.variant.name)
        with self._database.begin() as connection:
            connection.execute(experiment_runs.delete().where(one))
            connection.execute(experiment_runs.insert().values(values))

    def runs_of_arm(self, arm: str) -> list[str]:
        """Return the names of the runs that hold an arm's rows, the latest first."""
        query = sa.select(experiment_runs.c.run).where(experiment_runs.c.arm == arm)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(experiment_runs.c.linked_at.desc())).scalars().all()
        return list(dict.fromkeys(found))

    def runs_of_variant(self, name: str, content: Mapping[str, Any]) -> list[str]:
        """Return the names of the runs that an experiment's versions made of one variant, the latest first.

        Args:
            name: The experiment's name.
            content: What the variant sets; see `Variant.content`.
        """
        query = (
            sa.select(experiment_runs.c.run, experiment_runs.c.choices)
            .join(experiments, experiments.c.id == experiment_runs.c.experiment_id)
            .where(experiments.c.name == name)
            .order_by(experiment_runs.c.linked_at.desc())
        )
        with self._database.read() as connection:
            return [row.run for row in connection.execute(query).all() if row.choices == content]

    def find(self, name: str, number: int) -> ExperimentRecord | None:
        """Return one version of an experiment, or None."""
        query = sa.select(experiments.c.record).where(experiments.c.name == name, experiments.c.number == number)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
            return None if found is None else self._record(connection, found)

    def get(self, ref: str) -> ExperimentRecord:
        """Return an experiment: ``name`` (its latest version), ``name:number``, an id, its beginning, or ``latest``.

        Raises:
            NotFound: when there is none.
            Conflict: when the beginning of an id fits several.
        """
        newest = sa.select(experiments.c.record).order_by(experiments.c.updated_at.desc(), experiments.c.id.desc())
        name, _, number = ref.partition(":")
        with self._database.read() as connection:
            if ref == LATEST:
                found = connection.execute(newest.limit(1)).scalars().all()
            elif number.isdecimal():
                here = (experiments.c.name == name) & (experiments.c.number == int(number))
                found = connection.execute(newest.where(here)).scalars().all()
            else:
                here = (experiments.c.name == ref) | (experiments.c.id == ref)
                last = sa.select(experiments.c.record).order_by(experiments.c.number.desc()).limit(1)
                found = connection.execute(last.where(here)).scalars().all()
                if not found and len(ref) >= SHORTEST_PREFIX:
                    begun = newest.where(experiments.c.id.startswith(ref, autoescape=True)).limit(2)
                    found = connection.execute(begun).scalars().all()
            if len(found) == 1:
                return self._record(connection, found[0])
            names = connection.execute(sa.select(experiments.c.name).distinct().limit(_HINT_NAMES)).scalars().all()
        if found:
            raise Conflict(
                f"several experiments have ids that begin with '{ref}'", fix="type more of the id, or name:number"
            )
        hint = nearest_hint(name, names) if names else None
        raise NotFound(f"there is no experiment '{ref}'", expected=hint, fix="pilothouse experiment run FILE makes one")

    def list(self, limit: int | None = None) -> list[ExperimentRecord]:
        """Return the experiments, the latest first."""
        query = sa.select(experiments.c.record).order_by(experiments.c.updated_at.desc(), experiments.c.id.desc())
        with self._database.read() as connection:
            return [self._record(connection, item) for item in connection.execute(query.limit(limit)).scalars().all()]

    def _record(self, connection: sa.Connection, found: Any) -> ExperimentRecord:
        record = msgspec.convert(found, ExperimentRecord)
        query = experiment_runs.select().where(experiment_runs.c.experiment_id == record.id)
        rows: Sequence[Any] = connection.execute(query.order_by(experiment_runs.c.position)).all()
        asked = {variant.name: variant for variant in record.definition.variants}
        runs = tuple(
            ExperimentRun(variant=asked.get(row.variant, Variant(name=row.variant, choices=row.choices)), run=row.run)
            for row in rows
        )
        return msgspec.structs.replace(record, runs=runs)


def _values(record: ExperimentRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "number": record.number,
        "status": record.status,
        "updated_at": record.updated_at,
        "record": msgspec.to_builtins(msgspec.structs.replace(record, runs=())),
    }
