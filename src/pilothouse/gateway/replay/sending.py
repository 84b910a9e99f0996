"""A request that no client sends, through the same data plane as every other."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from opentelemetry.trace import Tracer

from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.plane.app import DISCONNECT, Plane
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.records import Records
from pilothouse.gateway.plane.serve import Parts
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.plane.shadows import Shadows
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.plans import Price
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.types import LedgerEntry, Tenant
from pilothouse.gateway.upstream.types import Transport
from pilothouse.models.rates.card import RateCard

USE_CASE: Final = "replay"
"""Of the ledger rows of calls that are made again."""

REPLAY_OF: Final = "replay_of"
"""The tag of such a row that names the call."""

_OF_THE_CONNECTION: Final = frozenset({"accept-encoding", "content-encoding", "content-length", "traceparent"})


class Sent(Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        entry: Its ledger row.
        body: The answer, a stream's events joined.
    """

    entry: LedgerEntry
    body: bytes


class Sending(Struct, frozen=True, kw_only=True):
    """What sends calls again.

    Attributes:
        folder: The ledger's folder.
        rates: What calls cost.
        price: What deployments cost, for routing.
        tracer: Who makes spans.
    """

    folder: Path
    rates: RateCard
    price: Price
    tracer: Tracer

    async def send(
        self,
        snapshot: Snapshot,
        transport: Transport,
        logged: LedgerEntry,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Sent:
        """Send a request; its ledger row is on the disk when this returns.

        How it fares tells the routing of other calls nothing, and it counts in no figure but the ledger's.

        Args:
            snapshot: What decides; without keys, limits and caches.
            transport: The ways to deployments.
            logged: The call that is made again.
            path: Of the request.
            headers: As recorded.
            body: Of the request.
        """
        ledger, deadlines = ReplayLedger(self.folder, logged), Deadlines()
        metrics, router = Uncounted(), Router(HealthBoard(), price=self.price)
        settlement = Settlement(self.rates, Records(ledger, self.tracer, metrics))
        parts = Parts(
            router=router,
            transport=transport,
            rates=self.rates,
            settlement=settlement,
            ledger=ledger,
            metrics=metrics,
            shadows=Shadows(router, transport, settlement, deadlines),
            deadlines=deadlines,
        )
        try:
            answer = await _ask(ReplayPlane(parts, snapshot, logged.tenant), path, headers, body)
        finally:
            ledger.close()
        (entry,) = ledger.entries
        return Sent(entry=entry, body=answer)


class ReplayPlane(Plane):
    """A data plane whose calls are made on behalf of somebody: nobody shows a key.

    Args:
        parts: What every call uses.
        snapshot: What decides.
        tenant: On whose behalf: routing and guards treat the call as theirs.
    """

    def __init__(self, parts: Parts, snapshot: Snapshot, tenant: Tenant) -> None:
        super().__init__(parts, snapshot)
        self._tenant = tenant

    def _admit(self, call: Call) -> None:
        # Like a copy: it has no copies of its own, and counts for no arm of an experiment.
        call.tenant, call.shadow = self._tenant, True


class ReplayLedger(LedgerWriter):
    """Marks rows as replays, which nobody's budget pays for.

    Args:
        folder: The ledger's folder.
        logged: The call that is made again.

    Attributes:
        entries: What was written.
    """

    def __init__(self, folder: Path, logged: LedgerEntry) -> None:
        super().__init__(folder)
        self._logged = logged
        self.entries: list[LedgerEntry] = []

    def record(self, entry: LedgerEntry) -> None:
        """Take an entry in."""
        marked = replace(
            entry,
            tenant=Tenant(organisation=self._logged.tenant.organisation, use_case=USE_CASE),
            metadata={**entry.metadata, REPLAY_OF: self._logged.id},
            shadow=True,
        )
        self.entries.append(marked)
        super().record(marked)


class Uncounted(Metrics):
    """Counts nothing: figures are those of clients' calls."""

    def __init__(self) -> None:
        self.in_flight = 0

    def ended(self, call: Call, took: int, overhead: int) -> None:
        """Do nothing."""

    def incident(self, kind: str) -> None:
        """Do nothing."""


async def _ask(plane: Plane, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the answer's body to a request over no wire at all."""
    pieces: list[bytes] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
            if name not in _OF_THE_CONNECTION
        ],
        # Whoever asks is here until the end.
        "extensions": {DISCONNECT: {}},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    await plane(scope, receive, send)
    return b"".join(pieces)
