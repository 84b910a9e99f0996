"""What calls used and cost, over HTTP; who is confined to an organisation is told of its calls alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from pilothouse.access.audit.service import AuditService
from pilothouse.access.doors import Asked, Operation
from pilothouse.core.errors import NotFound
from pilothouse.gateway.admin.stats import RouteStats, route_stats
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import (
    FOREVER,
    BillLine,
    CallFilter,
    Dimension,
    Field,
    LedgerCall,
    LedgerPage,
    Reconciliation,
    RerateReport,
    SpendRow,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CallsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls are wanted; every given part must hold.

    Attributes:
        since: Not before.
        until: Before.
        organisation: Who pays.
        team: Within the organisation.
        user: Within the team.
        key: Id of the key.
        use_case: What the key is for.
        route: What was asked for.
        model: Who answered.
        status: How it ended.
        experiment: The experiment in traffic.
        arm: Its arm.
        unknown_cost: Only calls whose cost is not known, or only the others.
        limit: How many at most.
        after: Where to go on, as the page before says.
    """

    since: datetime | None = None
    until: datetime | None = None
    organisation: str | None = None
    team: str | None = None
    user: str | None = None
    key: str | None = None
    use_case: str | None = None
    route: str | None = None
    model: str | None = None
    status: str | None = None
    experiment: str | None = None
    arm: str | None = None
    unknown_cost: bool | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str | None = None


class SpendQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose spend is wanted, and how it is grouped.

    Attributes:
        by: What to group by; empty for one sum.
        since: Not before.
        until: Before.
        match: Field to the value it must have.
        metadata: Client's tag to the value it must have.
    """

    by: tuple[Dimension, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    match: dict[Field, str] = {}
    metadata: dict[str, str] = {}


class StatsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back to look.

    Attributes:
        seconds: Until now.
    """

    seconds: Annotated[int, Meta(ge=1, le=31_536_000)] = 3600


class Rerating(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which history is priced anew.

    Attributes:
        since: Calls from here on.
        until: Calls before.
        dry_run: Only report.
    """

    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = True


class Bill(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's bill.

    Attributes:
        provider: Who bills, by OpenTelemetry's name.
        lines: What for.
        share: A line further off than this share raises the alarm.
    """

    provider: str
    lines: tuple[BillLine, ...]
    share: Annotated[float, Meta(ge=0, le=1)] = 0.01


def list_calls(asked: Asked) -> LedgerPage:
    """Return a page of calls, the newest first."""
    query: CallsQuery = asked.query
    match: dict[Field, str] = {}
    fields: tuple[Field, ...] = ("organisation", "team", "user", "key", "use_case", "route", "model", "status")
    for name in (*fields, *_SPLITS):
        value: str | None = getattr(query, name)
        if value is not None:
            match[name] = value
    since, until = _window(query.since, query.until)
    wanted = CallFilter(since_ns=since, until_ns=until, match=match, unknown_cost=query.unknown_cost)
    return asked.services.get(LedgerService).calls(_confined(wanted, asked), limit=query.limit, after=query.after)


def show_call(asked: Asked) -> LedgerCall:
    """Return one call; another organisation's is not there for who is confined to one."""
    call_id = asked.path["id"]
    found = asked.services.get(LedgerService).call(call_id)
    if asked.organisation and found.entry.tenant.organisation != asked.organisation:
        raise NotFound(f"the ledger has no call '{call_id}'")
    return found


def ask_spend(asked: Asked) -> list[SpendRow]:
    """Return what calls used and cost by group."""
    question: SpendQuestion = asked.body
    since, until = _window(question.since, question.until)
    wanted = CallFilter(since_ns=since, until_ns=until, match=question.match, metadata=question.metadata)
    return asked.services.get(LedgerService).spend(question.by, _confined(wanted, asked))


def read_stats(asked: Asked) -> list[RouteStats]:
    """Return how each route fares."""
    query: StatsQuery = asked.query
    since = asked.services.clock.now() - timedelta(seconds=query.seconds)
    wanted = CallFilter(since_ns=_nanoseconds(since))
    return route_stats(asked.services.get(LedgerService), _confined(wanted, asked))


def rerate(asked: Asked) -> RerateReport:
    """Price history anew."""
    wanted: Rerating = asked.body
    since, until = _window(wanted.since, wanted.until)
    report = asked.services.get(LedgerService).rerate(since, until, dry_run=wanted.dry_run)
    if report.rerating:
        told = {"changed": report.changed, "before": report.before, "after": report.after}
        asked.services.get(AuditService).record(
            "ledger.rerate", f"rerating/{report.rerating}", after=told, actor=asked.acting.actor
        )
    return report


def reconcile(asked: Asked) -> Reconciliation:
    """Lay a provider's bill beside the ledger."""
    bill: Bill = asked.body
    return asked.services.get(LedgerService).reconcile(bill.lines, provider=bill.provider, share=bill.share)


_SPLITS: Final[tuple[Field, ...]] = ("experiment", "arm")


def _confined(wanted: CallFilter, asked: Asked) -> CallFilter:
    if not asked.organisation:
        return wanted
    return replace(wanted, match={**wanted.match, "organisation": asked.organisation})


def _window(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    begin = 0 if since is None else max(0, _nanoseconds(since))
    return begin, FOREVER if until is None else _nanoseconds(until)


def _nanoseconds(when: datetime) -> int:
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/ledger",
        action="ledger.read",
        summary="List calls, the newest first",
        run=list_calls,
        query=CallsQuery,
        answer=LedgerPage,
    ),
    Operation(
        method="GET",
        path="/ledger/{id}",
        action="ledger.read",
        summary="Show one call with its routing trace",
        run=show_call,
        answer=LedgerCall,
    ),
    Operation(
        method="POST",
        path="/spend",
        action="ledger.read",
        summary="Sum what calls used and cost, by group; money is integer nano-dollars",
        run=ask_spend,
        body=SpendQuestion,
        answer=list[SpendRow],
    ),
    Operation(
        method="GET",
        path="/stats",
        action="stats.read",
        summary="Show how each route fares: calls, errors, latency, tokens, cost",
        run=read_stats,
        query=StatsQuery,
        answer=list[RouteStats],
    ),
    Operation(
        method="POST",
        path="/rerate",
        action="ledger.write",
        summary="Price history anew with today's prices; a dry run unless told otherwise",
        run=rerate,
        body=Rerating,
        answer=RerateReport,
    ),
    Operation(
        method="POST",
        path="/reconcile",
        action="ledger.write",
        summary="Lay a provider's bill beside the ledger",
        run=reconcile,
        body=Bill,
        answer=Reconciliation,
    ),
)
