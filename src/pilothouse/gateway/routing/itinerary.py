"""The way of one call: which deployment next, after which wait, and what its outcome tells about that deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from pilothouse.gateway.routing.hashing import fraction
from pilothouse.gateway.routing.health import DeploymentHealth, HealthBoard
from pilothouse.gateway.routing.plans import Candidate
from pilothouse.gateway.routing.selection import Selection
from pilothouse.gateway.routing.splits import Assignment
from pilothouse.gateway.routing.types import Step
from pilothouse.gateway.routing.windows import CallWindow
from pilothouse.gateway.types import Failure

TRANSIENT: Final[frozenset[Failure]] = frozenset(
    ("rate_limit", "server", "connect", "timeout", "stream_idle", "cut", "malformed")
)
"""Failures after which the same deployment may succeed; only these draw on the retry budget."""

Reason = Literal["", "unserved", "unavailable", "attempts", "budget", "failure", "exhausted"]


class _Attempt:
    """A step that runs."""

    __slots__ = ("begun", "health", "step", "trial")

    def __init__(self, step: Step, health: DeploymentHealth, begun: float, *, trial: bool) -> None:
        self.step = step
        self.health = health
        self.begun = begun
        self.trial = trial


class CallItinerary:
    """The way of one call through deployments.

    After a failure of a class in ``fallback_on`` the next attempt goes at once to a deployment not tried yet: of the
    route, then of its fallbacks. When all were tried, those with a passing failure are asked again after a wait. A
    second end of one step changes nothing.

    Attributes:
        experiment: Name of the experiment in traffic; empty for none.
        arm: The call's arm; empty for none.
        sticky: Whether the arm belongs to a unit, and was not drawn for this call alone.
        attempts: Steps begun, hedges included.
        reason: Why ``next`` returned None: ``unserved``: no deployment of the configuration fits the call;
            ``unavailable``: all are open, resting or full; ``attempts`` or ``budget``: no more retries; ``failure``:
            not one that others could mend; ``exhausted``: all were tried and none may be asked again.
        retry_after: Seconds after which another call makes sense, where that is known.
    """

    __slots__ = (
        "_again",
        "_board",
        "_hedged",
        "_last",
        "_monotonic",
        "_onward",
        "_repeats",
        "_running",
        "_selection",
        "_tried",
        "_window",
        "arm",
        "attempts",
        "experiment",
        "reason",
        "retry_after",
        "sticky",
    )

    def __init__(
        self,
        selection: Selection,
        assignment: Assignment | None,
        board: HealthBoard,
        window: CallWindow,
        monotonic: Callable[[], float],
    ) -> None:
        self.experiment = assignment.experiment if assignment else ""
        self.arm = assignment.arm if assignment else ""
        self.sticky = bool(assignment and assignment.unit)
        self.attempts = 0
        self.reason: Reason = ""
        self.retry_after: float | None = None
        self._selection = selection
        self._board = board
        self._window = window
        self._monotonic = monotonic
        self._running: list[_Attempt] = []
        self._tried: set[str] = set()
        self._again: dict[str, Candidate] = {}
        self._last: Failure | None = None
        self._onward = True
        self._hedged = False
        self._repeats = 0

    def next(self) -> Step | None:
        """Begin the next attempt, or None when there is nothing left to try; then ``reason`` says why."""
        now = self._monotonic()
        if self.attempts == 0:
            return self._first(now)
        settings = self._selection.plan.route.settings
        self.reason = self._forbidden(now)
        if self.reason:
            return None
        wait = 0.0
        found = self._selection.choose(self._tried, now, self.attempts) if self._onward else None
        if found is None:
            again = self._repeat(now)
            if again is None:
                self.reason = "exhausted" if self._onward else "failure"
                self.retry_after = self._selection.soonest(now)
                return None
            found, wait = again
            self._repeats += 1
        if self._last in TRANSIENT:
            self._window.retry(now)
        hedge = settings.hedge
        return self._begin(found, now, wait, None if hedge is None or self._hedged else hedge.after)

    def hedge(self) -> Step | None:
        """Begin an attempt beside the running one, at another deployment of the route, or None where none may be."""
        settings = self._selection.plan.route.settings
        now = self._monotonic()
        if (
            settings.hedge is None
            or self._hedged
            or len(self._running) != 1
            or self.attempts >= settings.retries.attempts
            or not self._window.may_hedge(now, settings.hedge.share)
        ):
            return None
        found = self._selection.choose(self._tried, now, self.attempts, beyond=False)
        if found is None or self._board.of(found.id).is_open:
            return None
        self._hedged = True
        self._window.hedge(now)
        return self._begin(found, now, 0.0, None)

    def served(self, step: Step, first_byte: float) -> None:
        """Tell that an attempt's answer has begun, ``first_byte`` seconds after it was sent."""
        for attempt in self._running:
            if attempt.step is step:
                breaker = step.route.settings.breaker
                attempt.health.answered(self._monotonic(), first_byte, breaker, trial=attempt.trial)
                attempt.trial = False

    def ended(self, step: Step) -> None:
        """Tell that an attempt whose answer had begun is over, well or by the client's will."""
        attempt = self._take(step)
        if attempt is not None:
            attempt.health.ended(self._monotonic(), step.route.settings.breaker, trial=attempt.trial)

    def failed(self, step: Step, failure: Failure, *, retry_after: float | None = None, retryable: bool = True) -> None:
        """Tell that an attempt failed, before or inside its answer."""
        attempt = self._take(step)
        if attempt is None:
            return
        now = self._monotonic()
        settings = step.route.settings
        attempt.health.failed(now, failure, retry_after, settings.breaker, trial=attempt.trial)
        if failure == "timeout":
            attempt.health.measure(now, now - attempt.begun)
        if failure == "cancelled":
            # The loser of a hedge, or the client has left: neither is a reason to go on.
            if not self._running:
                self._onward = False
                self._again = {}
            return
        self._last = failure
        self._onward = failure in settings.fallback_on
        mine = self._again.pop(step.deployment.id, None)
        if not self._onward:
            self._again = {}
        if mine is not None and failure in TRANSIENT and retryable:
            self._again[mine.id] = mine

    def close(self) -> None:
        """End every attempt that still runs, with no verdict: the call is over, however that came."""
        while self._running:
            attempt = self._running.pop()
            attempt.health.released(trial=attempt.trial)
        self._onward = False
        self._again = {}

    def __del__(self) -> None:
        # A call that was cancelled at the wrong moment must not fill its deployment's places for ever.
        self.close()

    def _first(self, now: float) -> Step | None:
        selection = self._selection
        settings = selection.plan.route.settings
        after = None if settings.hedge is None else settings.hedge.after
        found = selection.choose((), now, 0)
        if found is not None:
            return self._begin(found, now, 0.0, after)
        if not selection.is_servable(now):
            self.reason = "unserved"
            return None
        rest = selection.resting(now, settings.retries.longest)
        if rest is not None:
            return self._begin(rest[0], now, rest[1] + self._jitter(settings.retries.base), after)
        early = selection.early(now)
        if early is not None:
            return self._begin(early, now, 0.0, None)
        self.reason = "unavailable"
        self.retry_after = selection.soonest(now)
        return None

    def _forbidden(self, now: float) -> Reason:
        """Return why no further attempt may be made at all."""
        retries = self._selection.plan.route.settings.retries
        if self._last is None or (not self._onward and not self._again):
            return "failure"
        if self.attempts >= retries.attempts:
            return "attempts"
        if self._last in TRANSIENT and not self._window.may_retry(now, retries.budget):
            return "budget"
        return ""

    def _repeat(self, now: float) -> tuple[Candidate, float] | None:
        """Return who may be asked once more soonest, and after which wait: full jitter, never before its rest ends."""
        retries = self._selection.plan.route.settings.retries
        busy = {attempt.step.deployment.id for attempt in self._running}
        best: tuple[float, Candidate] | None = None
        for item in self._again.values():
            health = self._board.of(item.id)
            rest = max(0.0, health.rest_until - now)
            if item.id in busy or rest > retries.longest or health.is_open or self._selection.unfit(item):
                continue
            if best is None or rest < best[0]:
                best = rest, item
        if best is None:
            return None
        return best[1], best[0] + self._jitter(min(retries.longest, retries.base * 2**self._repeats))

    def _jitter(self, longest: float) -> float:
        return longest * fraction("wait", f"{self._selection.request.call_id}\0{self.attempts}")

    def _begin(self, candidate: Candidate, now: float, wait: float, hedge_after: float | None) -> Step:
        if self.attempts == 0:
            self._window.call(now)
        self.attempts += 1
        health = self._board.of(candidate.id)
        step = Step(route=candidate.route, deployment=candidate.deployment, wait=wait, hedge_after=hedge_after)
        self._running.append(_Attempt(step, health, now + wait, trial=health.begin(now)))
        self._tried.add(candidate.id)
        self._again[candidate.id] = candidate
        return step

    def _take(self, step: Step) -> _Attempt | None:
        for place, attempt in enumerate(self._running):
            if attempt.step is step:
                return self._running.pop(place)
        return None
