"""Records of runs, to the database and back."""

from __future__ import annotations

from collections.abc import Callable
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
        """Replace what is recorded of the work on a run; what people said of it meanwhile stays."""
        self.change(run.id, lambda stored: with_words_of(stored, run))

    def change(self, run_id: str, made: Callable[[Run], Run]) -> Run | None:
        """Replace the record of a run by what is made of it, in one transaction.

        Returns:
            The new record; None when the run was deleted meanwhile.
        """
        with self._database.begin() as connection:
            stored = connection.execute(sa.select(runs.c.record).where(runs.c.id == run_id).with_for_update()).scalar()
            if stored is None:
                return None
            changed = made(msgspec.convert(stored, Run))
            connection.execute(runs.update().where(runs.c.id == run_id).values(_values(changed)))
            return changed

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
        self,
        *,
        experiment: str | None = None,
        status: RunStatus | None = None,
        archived: bool | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Return runs, the latest first; ``archived`` None = archived or not."""
        query = sa.select(runs.c.record).order_by(runs.c.id.desc()).limit(limit)
        if archived is not None:
            query = query.where(runs.c.archived.is_(archived))
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


def with_words_of(stored: Run, run: Run) -> Run:
    """Return ``run`` with the words and tags that people gave the stored record."""
    said = {key: getattr(stored.spec, key) for key in ("display_name", "description", "tags")}
    return msgspec.structs.replace(run, spec=msgspec.structs.replace(run.spec, **said), archived=stored.archived)


def _values(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "experiment": run.spec.experiment,
        "archived": run.archived,
        "created_at": run.created_at,
        "record": msgspec.to_builtins(run),
    }
