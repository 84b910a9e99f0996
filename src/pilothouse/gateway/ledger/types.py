"""Nouns of the ledger: what is asked of it and what it answers. Money is integer nano-dollars."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from pilothouse.gateway.types import LedgerEntry, Tenant
from pilothouse.models.types import Usage

FOREVER: Final = 2**63 - 1

Dimension = Literal[
    "organisation",
    "team",
    "user",
    "key",
    "use_case",
    "route",
    "provider",
    "model",
    "deployment",
    "experiment",
    "arm",
    "status",
    "day",
    "hour",
]
"""What spend can be grouped by; days and hours are those of UTC, as ``2026-11-21`` and ``2026-11-21T16``."""

Field = Literal[
    "organisation",
    "team",
    "user",
    "key",
    "use_case",
    "end_user",
    "session",
    "route",
    "wire",
    "deployment",
    "provider",
    "model",
    "response_model",
    "status",
    "code",
    "config",
    "experiment",
    "arm",
    "cache",
    "price",
    "trace_id",
]
"""What calls can be chosen by."""


class CallFilter(Struct, frozen=True, kw_only=True):
    """Which calls are meant; every given part must hold.

    Attributes:
        since_ns: Not before.
        until_ns: Before.
        match: Field to the value it must have.
        metadata: Client's tag to the value it must have.
        unknown_cost: Only calls that reached a provider and whose cost is not known, or only the others.
    """

    since_ns: int = 0
    until_ns: int = FOREVER
    match: dict[Field, str] = {}
    metadata: dict[str, str] = {}
    unknown_cost: bool | None = None


class SpendRow(Struct, frozen=True, kw_only=True):
    """What the calls of one group used and cost.

    Attributes:
        group: Dimension to its value.
        calls: How many.
        failures: Of them, failed or broken off inside the answer.
        refused: Of them, turned away before any provider was asked.
        unknown: Of them, calls that reached a provider and whose cost is not known; they are not in `cost`.
        cost: Nano-dollars of the others.
        usage: Sums of what was used.
        given_up: Attempts that were given up and may be billed.
        may_cost: The most that is billed for them beyond `cost`, as far as it is known.
        may_unknown: Calls of which it is not known.
    """

    group: dict[str, str]
    calls: int
    failures: int
    refused: int
    unknown: int
    cost: int
    usage: Usage
    given_up: int = 0
    may_cost: int = 0
    may_unknown: int = 0


class LedgerCall(Struct, frozen=True, kw_only=True):
    """One call as it was recorded, and what it costs by the latest re-rating.

    Attributes:
        entry: As recorded; it never changes.
        cost: Nano-dollars now; None where it is not known.
        price: The price it follows from.
        revised: Whether a re-rating changed it.
    """

    entry: LedgerEntry
    cost: int | None
    price: str | None
    revised: bool


class LedgerPage(Struct, frozen=True, kw_only=True):
    """Calls, the newest first.

    Attributes:
        calls: At most as many as were asked for.
        after: Where the next page begins; None on the last.
    """

    calls: tuple[LedgerCall, ...]
    after: str | None


class TenantSpend(Struct, frozen=True, kw_only=True):
    """What one tenant used through one route.

    Attributes:
        tenant: Who pays.
        route: The route's name.
        requests: Calls, neither refused ones nor copies that nobody saw.
        tokens: Input and output.
        cost: Nano-dollars; with what may be billed for attempts given up. Where either is not known, calls count with
            what was set aside for them.
        unsure: Of ``cost``, what may not be billed: that of attempts given up.
    """

    tenant: Tenant
    route: str
    requests: int
    tokens: int
    cost: int
    unsure: int = 0


class Sums(Struct, frozen=True, kw_only=True):
    """What a mean and a variance follow from: how many values, their sum and the sum of their squares."""

    n: int
    total: float
    squares: float


class ArmSpend(Struct, frozen=True, kw_only=True):
    """One arm of an experiment in traffic; copies nobody saw are not counted.

    Attributes:
        arm: Its name.
        calls: Calls that were let through.
        errors: Of them, failed or broken off inside the answer.
        cancelled: Of them, given up by the client.
        unknown: Of them, of unknown cost.
        latency: Seconds of calls that ended well.
        first: Seconds to the first byte of calls that ended well and were streamed.
        cost: Dollars of calls of known cost.
        output_tokens: Tokens written by calls that ended well.
    """

    arm: str
    calls: int
    errors: int
    cancelled: int
    unknown: int
    latency: Sums
    first: Sums
    cost: Sums
    output_tokens: Sums


class IngestReport(Struct, frozen=True, kw_only=True):
    """What came into the store.

    Attributes:
        calls: New entries.
        revisions: New results of re-ratings.
        duplicates: Lines that were there already.
        rejected: Lines that are no entries; they are kept in the folder `rejected`.
        torn: Last lines of writers that died inside them; kept there too.
    """

    calls: int = 0
    revisions: int = 0
    duplicates: int = 0
    rejected: int = 0
    torn: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Revision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a re-rating says of one call; appended, never in place of the entry.

    Attributes:
        revises: The call's id.
        at_ns: When the call had arrived.
        rerating: The re-rating's id; later ones win.
        before: Nano-dollars until now; None for unknown.
        cost: Nano-dollars from now on.
        price: Which price: ``source@date``.
    """

    revises: str
    at_ns: int
    rerating: str
    before: int | None
    cost: int
    price: str


class RerateReport(Struct, frozen=True, kw_only=True):
    """What a re-rating found.

    Attributes:
        rerating: Its id; empty where nothing was written.
        calls: Calls looked at.
        changed: Calls whose known cost is another now.
        became_known: Calls whose cost was not known.
        still_unknown: Calls whose cost is still not known.
        kept: Calls whose cost was known and whose price is not known any more; they stay as they are.
        before: Nano-dollars of all known costs before.
        after: Nano-dollars of all known costs after.
        difference: Nano-dollars by provider and model, where there is one.
    """

    rerating: str
    calls: int
    changed: int
    became_known: int
    still_unknown: int
    kept: int
    before: int
    after: int
    difference: dict[str, int]


class BillLine(Struct, frozen=True, kw_only=True):
    """What a provider bills.

    Attributes:
        day: UTC, ``2026-11-21``.
        model: As the bill names it.
        amount: Nano-dollars.
    """

    day: str
    model: str
    amount: int


class ReconciledLine(Struct, frozen=True, kw_only=True):
    """A day and model of a bill beside the ledger.

    Attributes:
        day: UTC.
        model: Its name.
        billed: Nano-dollars of the bill; None where the bill does not have it.
        recorded: Nano-dollars of the ledger; None where the ledger does not have it.
        unknown: Calls in the ledger whose cost is not known.
        difference: Billed less recorded.
        may_cost: Nano-dollars that may be billed beyond what is recorded, for attempts given up.
        alarm: Whether the difference is larger than the threshold, beyond what may be billed.
    """

    day: str
    model: str
    billed: int | None
    recorded: int | None
    unknown: int
    difference: int
    may_cost: int = 0
    alarm: bool


class Reconciliation(Struct, frozen=True, kw_only=True):
    """A bill beside the ledger.

    Attributes:
        lines: By day and model.
        billed: Nano-dollars of the whole bill.
        recorded: Nano-dollars of the ledger for the bill's days.
        difference: Billed less recorded.
        may_cost: Nano-dollars that may be billed beyond what is recorded, for attempts given up.
        alarm: Whether any line, or the whole, is further off than the threshold.
    """

    lines: tuple[ReconciledLine, ...]
    billed: int
    recorded: int
    difference: int
    may_cost: int = 0
    alarm: bool


class Forecast(Struct, frozen=True, kw_only=True):
    """Spend at the end of a window.

    Attributes:
        spent: Nano-dollars in the window so far.
        expected: Nano-dollars at its end; None where nothing can be said.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: What share of windows the interval is meant to hold.
        days: Past days that it follows from.
        method: How it was computed.
        note: Why nothing can be said, or what to keep in mind; empty for nothing.
        exhausted_ns: When the budget will be used up by the expected pace; None where it will not, or none was given.
    """

    spent: int
    expected: int | None
    low: int | None
    high: int | None
    level: float
    days: int
    method: str
    note: str
    exhausted_ns: int | None = None
