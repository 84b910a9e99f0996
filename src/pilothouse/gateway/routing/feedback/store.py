"""Rows of feedback to nouns and back."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from pilothouse.core.errors import Conflict
from pilothouse.core.storage.sql import Database, lock
from pilothouse.gateway.routing.feedback.tables import gateway_feedback as feedback
from pilothouse.gateway.routing.feedback.types import ArmFeedback, Recorded, State


class FeedbackStore:
    """Feedback in the database: one value for each call and metric of an edition of an experiment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self, key: dict[str, str], arm: str, value: float, success: int, at: datetime, comment: str = ""
    ) -> Recorded:
        """Keep a value, in place of the one the call had.

        Args:
            key: ``experiment``, ``edition``, ``metric``, ``call_id``.
            arm: The call's arm.
            value: 0 to 1.
            success: 0 or 1.
            at: When.
            comment: Beside it; empty keeps the one there is.

        Raises:
            Conflict: when the call is known to belong to another arm.
        """
        this = sa.and_(*(feedback.c[name] == text for name, text in key.items()))
        values = {"value": value, "success": success, "recorded_at": at, **({"comment": comment} if comment else {})}
        with self._database.begin() as connection:
            lock(connection, f"feedback {key['experiment']}/{key['call_id']}")
            row = connection.execute(
                sa.select(feedback.c.arm, feedback.c.value, feedback.c.comment).where(this)
            ).one_or_none()
            if row is None:
                connection.execute(feedback.insert().values(**key, arm=arm, **values))
                return Recorded(status="new")
            if row.arm != arm:
                raise Conflict(f"the call {key['call_id']} belongs to the arm '{row.arm}', not '{arm}'")
            is_same = row.value == value
            if is_same and (not comment or row.comment == comment):
                return Recorded(status="same", previous=row.value)
            connection.execute(feedback.update().where(this).values(**values))
            if is_same:
                return Recorded(status="same", previous=row.value)
            return Recorded(status="changed", previous=row.value)

    def state(self, experiment: str, edition: str, metric: str) -> State:
        """Return what each arm got."""
        query = (
            sa.select(
                feedback.c.arm,
                sa.func.count().label("count"),
                sa.func.sum(feedback.c.value).label("total"),
                sa.func.sum(feedback.c.value * feedback.c.value).label("squares"),
                sa.func.sum(feedback.c.success).label("successes"),
            )
            .where(feedback.c.experiment == experiment, feedback.c.edition == edition, feedback.c.metric == metric)
            .group_by(feedback.c.arm)
        )
        with self._database.read() as connection:
            return {
                row["arm"]: ArmFeedback(
                    count=int(row["count"]),
                    total=float(row["total"]),
                    squares=float(row["squares"]),
                    successes=int(row["successes"]),
                )
                for row in connection.execute(query).mappings()
            }

    def comments(self, call_id: str) -> list[tuple[str, float, str]]:
        """Return metric, value and comment of every feedback on a call, by metric."""
        query = (
            sa.select(feedback.c.metric, feedback.c.value, feedback.c.comment)
            .where(feedback.c.call_id == call_id)
            .order_by(feedback.c.metric)
        )
        with self._database.read() as connection:
            return [(row.metric, row.value, row.comment) for row in connection.execute(query)]
