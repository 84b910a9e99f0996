"""Records of runs, to the database and back."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.storage.sql import Database
from pilothouse.experiments.runs.tables import runs
from pilothouse.experiments.runs.types import Run, RunStatus

LATEST = "latest"
SHORTEST_PREFIX = 4
_HINT_NAMES = 200


class RunStore:
    """The table of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, run: Run) -> None:
        """Record a new run.

        Raises:
            Conflict: when its name is taken.
        """
        try:
            with self._database.begin() as connection:
                connection.execute(runs.insert().values(_values(run)))
        except exc.IntegrityError as error:
            raise Conflict(
                f"there is a run named '{run.name}' already",
                fix=f"choose another name, or go on with it: pilothouse run resume {run.name}",
            ) from error

    def update(self, run: Run) -> None:
        """Replace the record of a run."""
        with self._database.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(_values(run)))

    def get(self, ref: str) -> Run:
        """Return a run by name, id, id prefix, or `latest`.

        Raises:
            NotFound: when there is none.
            Conflict: when a prefix fits several.
        """
        newest = sa.select(runs.c.record).order_by(runs.c.id.desc())
        if ref == LATEST:
            found = self._records(newest.limit(1))
            if not found:
                raise NotFound("there is no run yet", fix="pilothouse run create --flow PATH --data FILE")
            return found[0]
        found = self._records(newest.where(sa.or_(runs.c.name == ref, runs.c.id == ref)).limit(1))
        if not found and len(ref) >= SHORTEST_PREFIX:
            found = self._records(newest.where(runs.c.id.startswith(ref, autoescape=True)).limit(2))
        if len(found) > 1:
            raise Conflict(f"several runs have ids that begin with '{ref}'", fix="type more of the id, or the name")
        if not found:
            with self._database.read() as connection:
                names = connection.execute(newest.with_only_columns(runs.c.name).limit(_HINT_NAMES)).scalars().all()
            raise NotFound(f"there is no run '{ref}'", expected=nearest_hint(ref, names))
        return found[0]

    def list(
        self, *, experiment: str | None = None, status: RunStatus | None = None, limit: int | None = None
    ) -> list[Run]:
        """Return runs, the latest first."""
        query = sa.select(runs.c.record).order_by(runs.c.id.desc()).limit(limit)
        if experiment is not None:
            query = query.where(runs.c.experiment == experiment)
        if status is not None:
            query = query.where(runs.c.status == status)
        return self._records(query)

    def delete(self, run_id: str) -> None:
        """Forget a run."""
        with self._database.begin() as connection:
            connection.execute(runs.delete().where(runs.c.id == run_id))

    def _records(self, query: sa.Select[tuple[Any]]) -> list[Run]:
        with self._database.read() as connection:
            return [msgspec.convert(record, Run) for record in connection.execute(query).scalars()]


def _values(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "experiment": run.spec.experiment,
        "created_at": run.created_at,
        "record": msgspec.to_builtins(run),
    }
