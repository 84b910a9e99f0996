"""Feedback on calls of experiments in traffic, and the weights that follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Final, Self

from pilothouse.core.clock import Clock
from pilothouse.core.errors import DataError, NotFound, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.routing.feedback.bandit import Bandit
from pilothouse.gateway.routing.feedback.store import FeedbackStore
from pilothouse.gateway.routing.feedback.types import Recorded, State
from pilothouse.gateway.routing.hashing import fraction
from pilothouse.gateway.routing.splits import edition
from pilothouse.gateway.settings import TrafficExperiment

LONGEST_COMMENT: Final = 2000
"""Characters."""

_LONGEST: Final = 200


class FeedbackService:
    """Feedback of the arms of experiments in traffic.

    Counts are kept for each edition of an experiment: when its arms, their deployments, its unit or its metric change,
    counting starts anew, because the old counts belong to other arms. Weights may change within an edition.
    """

    def __init__(self, store: FeedbackStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        return cls(FeedbackStore(services.get(Database)), services.clock)

    def record(
        self,
        experiment: TrafficExperiment | None,
        arm: str,
        metric: str,
        value: float | bool,
        call_id: str,
        comment: str = "",
    ) -> Recorded:
        """Keep what a call was worth; again with the same value changes nothing, with another takes its place.

        Args:
            experiment: As configured; None for a call that took part in none: then it moves nothing.
            arm: The call's arm, as its ledger row says.
            metric: The name of the score.
            value: True, False, or a number from 0 to 1.
            call_id: The call.
            comment: What is said beside it, at most 2,000 characters; empty keeps what was said before.

        Raises:
            NotFound: for an arm the experiment has not.
            DataError: for a value that is not from 0 to 1, an empty or endless name, or an endless comment.
            Conflict: when the call is known to belong to another arm.
        """
        if experiment is not None and arm not in experiment.arms:
            raise NotFound(
                f"the experiment '{experiment.name}' has no arm '{arm}'", expected=nearest_hint(arm, experiment.arms)
            )
        number = float(value)
        if not isfinite(number) or not 0 <= number <= 1:
            raise DataError(f"{number} is not a feedback", expected="true, false, or a number from 0 to 1")
        for text in (metric, call_id):
            if not text or len(text) > _LONGEST or not text.isprintable():
                raise DataError(f"{text[:80]!r} cannot be a name", expected=f"1 to {_LONGEST} printable letters")
        if len(comment) > LONGEST_COMMENT:
            raise DataError(f"the comment has {len(comment):,} characters", expected=f"at most {LONGEST_COMMENT:,}")
        if "\0" in comment:
            raise DataError("the comment holds a byte that no text has", expected="text without U+0000")
        name = experiment.name if experiment is not None else ""
        key = {
            "experiment": name,
            "edition": edition(experiment) if experiment is not None else "",
            "metric": metric,
            "call_id": call_id,
        }
        success = int(fraction(f"feedback {name}\0{metric}", call_id) < number)
        return self._store.put(key, arm if experiment is not None else "", number, success, self._clock.now(), comment)

    def comments(self, call_id: str) -> list[tuple[str, float, str]]:
        """Return metric, value and comment of every feedback on a call, by metric."""
        return self._store.comments(call_id)

    def state(self, experiment: TrafficExperiment, metric: str) -> State:
        """Return what each arm of this edition of an experiment got."""
        return self._store.state(experiment.name, edition(experiment), metric)

    def weights(self, experiments: Iterable[TrafficExperiment]) -> dict[str, dict[str, float]]:
        """Return the weights of every experiment that has a bandit: experiment to arm to weight.

        Processes that ask at the same state get the same weights. An arm of weight 0 takes no part.
        """
        found: dict[str, dict[str, float]] = {}
        for experiment in experiments:
            settings = experiment.bandit
            if settings is None:
                continue
            arms = [arm for arm, weight in experiment.arms.items() if weight > 0]
            bandit = Bandit(arms, floor=settings.floor, warmup=settings.warmup, seed=edition(experiment))
            found[experiment.name] = bandit.weights(self.state(experiment, settings.metric))
        return found
