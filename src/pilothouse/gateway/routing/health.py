"""How deployments fare, kept across configurations: breaker, rest, calls in flight, and time to the first byte."""

from __future__ import annotations

from math import exp, isfinite
from typing import Final, Literal

from msgspec import Struct

from pilothouse.gateway.routing.windows import CallWindow
from pilothouse.gateway.settings import BreakerSettings
from pilothouse.gateway.types import Failure

LONGEST_REST: Final = 3600.0
"""Seconds a deployment rests at most on an upstream's word; then it is asked again."""

EARLY_TRIAL: Final = 1.0
"""Least seconds between two trials of a deployment that is asked before its time for want of others."""

_LONGEST_TRIAL: Final = 900.0
"""Seconds after which a trial counts as lost: nothing may keep a deployment out for ever."""

_MEMORY: Final = 10.0
"""Seconds in which a time to the first byte loses 63 % of its weight."""

_UNKNOWN: Final = 60.0
"""Seconds assumed for a deployment that has calls in flight and has never answered."""

ALIVE: Final[frozenset[Failure]] = frozenset(("request", "context_length", "content_filter"))
"""Failures that show the deployment at work: the request is to blame."""

Obstacle = Literal["", "open", "trial", "resting"]


class HealthState(Struct, frozen=True, kw_only=True):
    """How a deployment stands, for reports.

    Attributes:
        deployment: Its id.
        state: ``closed`` takes calls, ``open`` none, ``half_open`` one trial.
        failures: In a row.
        in_flight: Calls at this moment.
        seconds: Until it may be asked again; 0 for now.
        first_byte: Seconds to the first byte, a peak-sensitive moving average; None where it never answered.
    """

    deployment: str
    state: Literal["closed", "open", "half_open"]
    failures: int
    in_flight: int
    seconds: float
    first_byte: float | None


class DeploymentHealth:
    """One deployment's state. Belongs to one event loop; nothing in it waits.

    The breaker opens after so many failures in a row, or at once where the deployment's own key is refused. After the
    cooldown one call is let through as a trial: an answer that begins closes the breaker on probation, so that the
    next failure opens it again with a doubled cooldown; only an answer that ends well clears its record.

    Attributes:
        in_flight: Calls at this moment.
        failures: Failures in a row.
        is_open: Whether the breaker is open, or half-open.
        by_key: Whether it was opened because the deployment's key was refused.
        trial: Whether a trial runs.
        open_until: When the cooldown ends.
        rest_until: Until when the upstream asked to be left alone.
        tried_at: When the last trial began.
        used_at: When it was last asked.
    """

    __slots__ = (
        "_cooldown",
        "_first_byte",
        "_measured_at",
        "by_key",
        "failures",
        "in_flight",
        "is_open",
        "open_until",
        "rest_until",
        "trial",
        "tried_at",
        "used_at",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.failures = 0
        self.is_open = False
        self.by_key = False
        self.trial = False
        self.open_until = 0.0
        self.rest_until = 0.0
        self.tried_at = float("-inf")
        self.used_at = 0.0
        self._cooldown = 0.0
        self._first_byte = -1.0
        self._measured_at = 0.0

    def obstacle(self, now: float) -> Obstacle:
        """Return why it may not be asked, empty where it may."""
        if now < self.rest_until:
            return "resting"
        if self.is_open:
            if now < self.open_until:
                return "open"
            if self.trial and now < self.tried_at + _LONGEST_TRIAL:
                return "trial"
        return ""

    def begin(self, now: float) -> bool:
        """Count a call in; return whether it is the trial of a half-open breaker."""
        self.in_flight += 1
        self.used_at = now
        if not self.is_open or (self.trial and now < self.tried_at + _LONGEST_TRIAL):
            return False
        self.trial = True
        self.tried_at = now
        return True

    def answered(self, now: float, first_byte: float, breaker: BreakerSettings, *, trial: bool) -> None:
        """Note that an answer has begun ``first_byte`` seconds after it was asked for."""
        self.measure(now, first_byte)
        if trial:
            self._close(breaker)

    def ended(self, now: float, breaker: BreakerSettings, *, trial: bool) -> None:
        """Note that an answer ended well."""
        self.in_flight -= 1
        self.used_at = now
        if trial:
            self._close(breaker)
        if not self.is_open:
            self.failures = 0
            self._cooldown = 0.0

    def released(self, *, trial: bool) -> None:
        """Count a call out that says nothing about the deployment."""
        self.in_flight -= 1
        if trial:
            self.trial = False

    def failed(
        self, now: float, failure: Failure, retry_after: float | None, breaker: BreakerSettings, *, trial: bool
    ) -> None:
        """Note that a call failed."""
        if failure == "cancelled":
            self.released(trial=trial)
            return
        if failure in ALIVE:
            self.ended(now, breaker, trial=trial)
            return
        rests = failure in {"rate_limit", "server"} and self._rest(now, retry_after)
        self.released(trial=trial)
        if rests and failure == "rate_limit":
            return
        self.failures += 1
        if trial and self.is_open:
            if now >= self.open_until:  # a trial before its time leaves the cooldown as it is
                self._open(now, self._cooldown * 2, breaker)
        elif not self.is_open and (failure == "auth" or self.failures >= breaker.failures):
            self._open(now, self._cooldown * 2 or breaker.cooldown, breaker)
        self.by_key = self.is_open and (failure == "auth" or self.by_key)

    def measure(self, now: float, seconds: float) -> None:
        """Take a time to the first byte into the average: a rise counts at once, a fall by and by."""
        if not isfinite(seconds) or seconds < 0:
            return
        if self._first_byte < 0 or seconds >= self._first_byte:
            self._first_byte = seconds
        else:
            weight = exp(-max(0.0, now - self._measured_at) / _MEMORY)
            self._first_byte = self._first_byte * weight + seconds * (1 - weight)
        self._measured_at = now

    def load(self, now: float) -> float:
        """Return the cost of one more call: time to the first byte, decaying, times calls in flight."""
        if self._first_byte < 0:
            return _UNKNOWN * self.in_flight
        decayed = self._first_byte * exp(-max(0.0, now - self._measured_at) / _MEMORY)
        return decayed * (self.in_flight + 1)

    def seconds(self, now: float) -> float:
        """Return the seconds until it may be asked again, 0 for now."""
        return max(0.0, self.rest_until - now, (self.open_until - now) if self.is_open else 0.0)

    def state(self, deployment: str, now: float) -> HealthState:
        """Return how it stands."""
        half = self.is_open and now >= self.open_until
        return HealthState(
            deployment=deployment,
            state="half_open" if half else "open" if self.is_open else "closed",
            failures=self.failures,
            in_flight=self.in_flight,
            seconds=self.seconds(now),
            first_byte=self._first_byte if self._first_byte >= 0 else None,
        )

    def _rest(self, now: float, retry_after: float | None) -> bool:
        if retry_after is None or not retry_after > 0:
            return False
        self.rest_until = max(self.rest_until, now + min(retry_after, LONGEST_REST))
        return True

    def _open(self, now: float, cooldown: float, breaker: BreakerSettings) -> None:
        self.is_open = True
        self._cooldown = min(cooldown or breaker.cooldown, breaker.longest)
        self.open_until = now + self._cooldown

    def _close(self, breaker: BreakerSettings) -> None:
        self.trial = False
        self.is_open = False
        self.by_key = False
        self.failures = breaker.failures - 1


class HealthBoard:
    """The health of all deployments and the windows of all routes, by name, in one process.

    It outlives configurations. Names may come from clients (``connection/model``), so what is idle is forgotten when
    there are too many: the longest unused first, open breakers last, never one with calls in flight.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._deployments: dict[str, DeploymentHealth] = {}
        self._windows: dict[str, CallWindow] = {}

    def of(self, deployment: str) -> DeploymentHealth:
        """Return the health of a deployment; a new one is well."""
        found = self._deployments.get(deployment)
        if found is None:
            if len(self._deployments) >= self._most:
                self._forget()
            found = self._deployments[deployment] = DeploymentHealth()
        return found

    def window(self, route: str) -> CallWindow:
        """Return the last ten seconds of a route."""
        found = self._windows.get(route)
        if found is None:
            if len(self._windows) >= self._most:
                self._windows.clear()  # ten seconds' counts: soon there again
            found = self._windows[route] = CallWindow()
        return found

    def states(self, now: float) -> tuple[HealthState, ...]:
        """Return how all deployments stand, by id."""
        return tuple(self._deployments[name].state(name, now) for name in sorted(self._deployments))

    def __len__(self) -> int:
        return len(self._deployments)

    def _forget(self) -> None:
        idle = [
            (health.is_open, health.used_at, name) for name, health in self._deployments.items() if not health.in_flight
        ]
        for *_, name in sorted(idle)[: max(1, self._most // 4)]:
            del self._deployments[name]
