"""The ledger's verbs: spend, calls, re-rating, bills and forecasts. DuckDB is its only store."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Self

import msgspec

from pilothouse.core.clock import Clock
from pilothouse.core.errors import UserError
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import new_segment
from pilothouse.gateway.ledger import bills, queries
from pilothouse.gateway.ledger.forecast import forecast
from pilothouse.gateway.ledger.hosts.service import LedgerHosts
from pilothouse.gateway.ledger.rerating import Rerating
from pilothouse.gateway.ledger.store import LedgerStore
from pilothouse.gateway.ledger.types import (
    FOREVER,
    ArmSpend,
    BillLine,
    CallFilter,
    Dimension,
    Forecast,
    IngestReport,
    LedgerCall,
    LedgerPage,
    Reconciliation,
    RerateReport,
    SpendRow,
    TenantSpend,
)
from pilothouse.gateway.ledger.writer import FOLDER, LedgerWriter
from pilothouse.models.rates.card import RateCard
from pilothouse.models.rates.moments import day_ns, moment, moment_ns

_DAY: Final = 86_400_000_000_000
_LIVE_DAYS: Final = 2


class LedgerService:
    """Answers questions about what calls used and cost.

    Each verb takes in first what all processes have written, and holds the store only for its own duration; another
    process that asks at the same time waits. What this process's own writer holds in memory is flushed first.

    Args:
        folder: The ledger's folder.
        rates: Prices, for re-rating.
        clock: Where the time comes from.
        writer: This process's writer; None for a process that only asks.
        hosts: The ledgers of other hosts; None where there are none.
        wait: Seconds to wait for another process that holds the store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rates: RateCard,
        clock: Clock,
        writer: LedgerWriter | None = None,
        hosts: LedgerHosts | None = None,
        wait: float = 10.0,
    ) -> None:
        self._folder = folder
        self._rates = rates
        self._clock = clock
        self._writer = writer
        self._hosts = hosts if hosts is not None and hosts.shared else None
        self._wait = wait

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the ledger of a project."""
        return cls(
            services.state / FOLDER,
            rates=services.get(RateCard),
            clock=services.clock,
            writer=services.get(LedgerWriter),
            hosts=services.get(LedgerHosts),
        )

    def ingest(self) -> IngestReport:
        """Take in what was written, and seal the days that have been over for two days."""
        with self._opened() as (store, report):
            store.seal(moment_ns(self._clock.now()) - _LIVE_DAYS * _DAY)
            return report

    def spend(self, by: Sequence[Dimension] = (), wanted: CallFilter | None = None) -> list[SpendRow]:
        """Return what calls used and cost by group; calls of unknown cost are counted beside it, never as 0.

        Raises:
            UserError: for an unknown dimension or field.
        """
        with self._opened() as (store, _):
            return queries.spend(store, by, wanted or CallFilter())

    def calls(self, wanted: CallFilter | None = None, *, limit: int = 100, after: str | None = None) -> LedgerPage:
        """Return a page of calls, the newest first."""
        with self._opened() as (store, _):
            return queries.page(store, wanted or CallFilter(), limit, after)

    def call(self, call_id: str) -> LedgerCall:
        """Return one call.

        Raises:
            NotFound: when the ledger has no such call.
        """
        with self._opened() as (store, _):
            return queries.call(store, call_id)

    def find(self, prefix: str) -> LedgerCall:
        """Return the one call whose id begins with ``prefix``: for people, who type little.

        Raises:
            NotFound: when there is none.
            UserError: when there are several.
        """
        with self._opened() as (store, _):
            return queries.call(store, queries.find(store, prefix))

    def arms(self, experiment: str, *, since_ns: int = 0, until_ns: int = FOREVER) -> list[ArmSpend]:
        """Return calls, errors, latency and cost of the arms of an experiment in traffic."""
        with self._opened() as (store, _):
            return queries.arms(store, experiment, since_ns, until_ns)

    def spent(self, since_ns: int) -> list[TenantSpend]:
        """Return what each tenant used through each route since a moment: opening balances of budgets."""
        with self._opened() as (store, _):
            return queries.tenants(store, since_ns)

    def rerate(self, since_ns: int = 0, until_ns: int = FOREVER, *, dry_run: bool = False) -> RerateReport:
        """Price history anew with the prices of today's settings and catalogue; entries are never changed.

        A revision is appended for each call whose cost is another now; questions answer with the latest. A call whose
        price is not known any more keeps what it cost.

        Args:
            since_ns: Calls from here on.
            until_ns: Calls before.
            dry_run: Only report.
        """
        wanted = CallFilter(since_ns=since_ns, until_ns=until_ns)
        rerating = Rerating(self._rates, new_id())
        written = False
        with self._opened() as (store, _), ExitStack() as stack:
            log: AppendLog | None = None
            for calls in queries.stream(store, wanted):
                revisions = rerating.price(calls)
                if not revisions or dry_run:
                    continue
                # Durable before the store sees them; each holds alone, and a further run finishes one that was cut.
                log = log or stack.enter_context(new_segment(self._folder / INCOMING))
                log.append(msgspec.json.encode(revision) for revision in revisions)
                written = True
            stack.close()
            self._take_in(store)
        return rerating.report(written=written)

    def reconcile(self, bill: Iterable[BillLine], *, provider: str, share: float = 0.01) -> Reconciliation:
        """Lay a provider's bill beside the ledger, for the days from the bill's first to its last.

        Args:
            bill: Its lines; `read_bill` reads them from a file.
            provider: Who bills, by OpenTelemetry's name.
            share: A line further off than this share, and than a cent, raises the alarm.

        Raises:
            UserError: for a bill without lines.
            DataError: for a line without a day.
        """
        lines = tuple(bills.dated(line) for line in bill)
        if not lines:
            raise UserError("the bill has no lines")
        first, last = min(line.day for line in lines), max(line.day for line in lines)
        wanted = CallFilter(
            since_ns=day_ns(date.fromisoformat(first)),
            until_ns=day_ns(date.fromisoformat(last)) + _DAY,
            match={"provider": provider},
        )
        return bills.reconcile(lines, self.spend(("day", "model"), wanted), share=share)

    def forecast(
        self, begin_ns: int, end_ns: int, wanted: CallFilter | None = None, *, budget: int | None = None, past: int = 28
    ) -> Forecast:
        """Return what a window will come to by the pace of past days.

        Args:
            begin_ns: The window's begin.
            end_ns: The window's end.
            wanted: Whose calls.
            budget: Nano-dollars that the window may cost.
            past: Most whole past days to look at; days before the first call do not count.
        """
        now = moment_ns(self._clock.now())
        wanted = wanted or CallFilter()
        today = now // _DAY * _DAY
        with self._opened() as (store, _):
            window = queries.spend(store, (), msgspec.structs.replace(wanted, since_ns=begin_ns, until_ns=end_ns))
            earlier = msgspec.structs.replace(wanted, since_ns=max(0, today - past * _DAY), until_ns=today)
            rows = {row.group["day"]: row.cost for row in queries.spend(store, ("day",), earlier)}
        days = _filled(rows, moment(today).date())
        return forecast(sum(row.cost for row in window), days, now_ns=now, end_ns=end_ns, budget=budget)

    @contextmanager
    def _opened(self) -> Generator[tuple[LedgerStore, IngestReport]]:
        if self._writer is not None:
            self._writer.flush()
        with LedgerStore(self._folder, wait=self._wait) as store:
            yield store, self._take_in(store)

    def _take_in(self, store: LedgerStore) -> IngestReport:
        if self._hosts is None:
            return store.ingest()
        # Nothing leaves this host's disk before the others can have it.
        return store.ingest(self._hosts.send(), self._hosts.after)


def _filled(days: dict[str, int], today: date) -> list[int]:
    """Return the spend of each day from the first known one until yesterday."""
    if not days:
        return []
    first = date.fromisoformat(min(days))
    return [days.get((first + timedelta(days=number)).isoformat(), 0) for number in range((today - first).days)]
