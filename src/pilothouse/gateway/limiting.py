"""Which limiter a configuration gets: one within the process, or one that shares its counters through Redis."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Self

from pilothouse.access.keys.service import KeyService
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database, identity
from pilothouse.gateway.ledger.apart import spent_apart
from pilothouse.gateway.ledger.hosts.service import LedgerHosts
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.limits.memory import LimiterState, MemoryLimiter
from pilothouse.gateway.limits.opening import Spend, opening_balances
from pilothouse.gateway.limits.rules import Rule
from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link, Unavailable
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import LimitState
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import GatewaySettings, LimitRule
from pilothouse.models.rates.moments import moment_ns

AnyLimiter = MemoryLimiter | SharedLimiter

_LINK_SECONDS = 2.0
_PATIENCE = 8.0
"""Seconds to wait for the other workers before listening."""


def shared_name(database: Database) -> str:
    """Return what a project's counters are called in Redis.

    Projects may share a server, and replicas of one project its database: who shares that shares limits, under
    whatever address it is reached.
    """
    return f"pilothouse-{sha256(identity(database).encode()).hexdigest()[:12]}"


class History:
    """What the ledger tells limits: see ``SpendHistory``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def spent(self, since_ns: int) -> Iterable[Spend]:
        """Return what calls since a moment used, for each tenant and route."""
        self._services.get(LedgerWriter).flush()
        for row in spent_apart(self._services.root, since_ns):
            yield Spend(tenant=row.tenant, route=row.route, requests=row.requests, tokens=row.tokens, cost=row.cost)


class LiveLimits:
    """The limiter that serves in this process, for who asks where limits stand.

    Attributes:
        limiter: None where no gateway serves here.
    """

    def __init__(self) -> None:
        self.limiter: AnyLimiter | None = None

    @classmethod
    def build(cls, _services: Services) -> Self:
        """Build it empty; a gateway puts its limiter here."""
        return cls()


def live_counts(services: Services, settings: GatewaySettings) -> list[LimitState] | None:
    """Return what limits have counted and hold set aside now; not within an event loop.

    Returns:
        None where this process cannot know: the counters are another process's, or Redis is away.
    """
    here = services.get(LiveLimits).limiter
    if settings.redis:
        link = Link(settings.redis, name=shared_name(services.get(Database)), timeout=_LINK_SECONDS)
        return asyncio.run(_counted(settings, link))
    return asyncio.run(here.usage()) if here is not None else None


async def _counted(settings: GatewaySettings, link: Link) -> list[LimitState] | None:
    state = SharedState(link)
    try:
        state.epoch = await link.epoch()
        return await SharedLimiter(settings.limits, state).usage()
    except (Unavailable, Refusal):
        return None
    finally:
        await link.aclose()


class Limiting:
    """Makes the limiters of one process; what was counted outlives each of them.

    Args:
        services: The project.
        redis: Where counters are shared; empty for within the process.
        tell: Hands the rows of ended calls that still wait to the ledger: counters are rebuilt from it.
    """

    def __init__(self, services: Services, redis: str, *, tell: Callable[[], None]) -> None:
        self._services = services
        self._redis = redis
        self._tell = tell
        self._history = History(services)
        self._memory = LimiterState()
        self._prepared: tuple[LimitRule, ...] = ()
        self._shared: SharedState | None = None
        self._limiter: AnyLimiter | None = None
        self._unchecked = 0
        self._starting: set[asyncio.Task[bool]] = set()
        self.warnings = 0

    def prepare(self, settings: GatewaySettings) -> None:
        """Read from the ledger what was used of new limits before; runs beside the event loop."""
        if self._redis or settings.limits == self._prepared:
            return  # what holds counts on by itself: the ledger is not asked for every change of a weight
        balances = opening_balances(
            settings.limits, self._history, moment_ns(self._services.clock.now()), self._key_names()
        )
        known = self._memory.meters
        self._memory.open({key: spent for key, spent in balances.items() if key[0] not in known})
        self._prepared = settings.limits

    def limiter(self, settings: GatewaySettings) -> AnyLimiter | None:
        """Return the limiter of a configuration, inside the event loop; None where nothing is limited."""
        if not settings.limits:
            return None
        if isinstance(self._limiter, SharedLimiter):
            self._unchecked += self._limiter.unchecked
        self._limiter = self._services.get(LiveLimits).limiter = self._made(settings)
        return self._limiter

    @property
    def open_calls(self) -> int:
        """Calls of this process that have something set aside."""
        return self._memory.open_calls if self._shared is None else len(self._shared.held)

    @property
    def waiting(self) -> int:
        """Calls that have ended and whose end the shared counters have not been told."""
        return 0 if self._shared is None else len(self._shared.pending)

    @property
    def unchecked(self) -> int:
        """Calls that passed because the counters could not be reached and all their rules only watch."""
        now = self._limiter.unchecked if isinstance(self._limiter, SharedLimiter) else 0
        return self._unchecked + now

    def _made(self, settings: GatewaySettings) -> AnyLimiter:
        if not self._redis:
            return MemoryLimiter(settings.limits, self._memory, unpriced=settings.unpriced, on_warning=self._warn)
        limiter = SharedLimiter(
            settings.limits,
            self._state(),
            history=self._history,
            key_names=self._key_names,
            unpriced=settings.unpriced,
            on_warning=self._warn,
        )
        task = asyncio.ensure_future(limiter.start(_PATIENCE))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return limiter

    @property
    def is_ready(self) -> bool:
        """Whether calls can be reserved: within the process always, through Redis once all workers have joined."""
        return self._shared is None or self._shared.ready

    async def join(self) -> None:
        """Wait until this worker counts with the others; not for a server that is away: then calls are refused."""
        if self._shared is None or not self._starting:
            return
        away = asyncio.ensure_future(self._shared.away.wait())
        started = asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.wait([started, away], return_when=asyncio.FIRST_COMPLETED)
        away.cancel()

    async def aclose(self) -> None:
        """Tell what is still to be told."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        if self._shared is not None:
            await self._shared.aclose()

    def _state(self) -> SharedState:
        if self._shared is None:
            link = Link(self._redis, name=shared_name(self._services.get(Database)), timeout=_LINK_SECONDS)
            self._shared = SharedState(link, flush=self._flush)
        return self._shared

    async def _flush(self) -> None:
        self._tell()
        await asyncio.to_thread(self._written)

    def _written(self) -> None:
        self._services.get(LedgerWriter).flush()
        self._services.get(LedgerHosts).send()  # what other hosts will open the windows with

    def _key_names(self) -> dict[str, str]:
        return {key.id: key.name for key in self._services.get(KeyService).list()}

    def _warn(self, rule: Rule, scope: str, used: int, limit: int) -> None:
        self.warnings += 1
        whose = f" of {scope}" if scope else ""
        sys.stderr.write(f"limit '{rule.name}'{whose}: {used:,} of {limit:,} is used or set aside\n")
