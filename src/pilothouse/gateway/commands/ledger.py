"""`gateway ledger` and `gateway stats`: what calls used and cost, in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import click
import msgspec
from rich.text import Text

from pilothouse.access.audit.service import AuditService
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.gateway.admin.stats import SAMPLE, RouteStats, route_stats
from pilothouse.gateway.commands.options import dollars, json_option, moment, nanoseconds, pairs, seconds, span
from pilothouse.gateway.ledger.bills import read_bill
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import FOREVER, CallFilter, Dimension, Field, LedgerCall, SpendRow
from pilothouse.gateway.types import NANO

_DIMENSIONS: Final = get_args(Dimension)
_FIELDS: Final = get_args(Field)
_PAGE: Final = 1000
_SHORT: Final = 12
_WHOLE: Final = 26

_since = click.option("--since", metavar="WHEN", help="Not before: 7d ago, or 2026-11-21, or a time with its zone.")
_until = click.option("--until", metavar="WHEN", help="Before.")
_where = click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only these, as route=chat or team=search.")
_tag = click.option("--tag", multiple=True, metavar="NAME=VALUE", help="Only calls with this tag of the client.")


@click.group()
def ledger() -> None:
    """Every call and its cost: money is exact, unknown is not zero."""


@ledger.command("list")
@_since
@_until
@_where
@_tag
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most.")
@click.option("--after", metavar="PLACE", help="Go on where a page ended.")
@click.option("--unknown-cost", is_flag=True, help="Only calls whose cost is not known.")
@json_option
@click.pass_obj
def list_(services: Services, limit: int, after: str | None, unknown_cost: bool, as_json: bool, **given: Any) -> None:
    """List calls, the newest first."""
    wanted = _wanted(services, **given, unknown_cost=True if unknown_cost else None)
    page = services.get(LedgerService).calls(wanted, limit=limit, after=after)
    if as_json:
        emit_json(page)
        return
    columns = ("call", "when (UTC)", "route", "status", ">took", ">tokens", ">cost")
    if page.calls:
        size = _telling([call.entry.id for call in page.calls])
        console().print(table(None, columns, [_row(call, size) for call in page.calls]))
    else:
        console().print(_nothing(wanted))
    if page.after is not None:
        console().print(f"There are more: --after {page.after}", soft_wrap=True)


@ledger.command()
@click.argument("call_id", metavar="CALL")
@json_option
@click.pass_obj
def show(services: Services, call_id: str, as_json: bool) -> None:
    """Show one call with its routing trace; CALL is its id, or as much of it as no other has."""
    call = services.get(LedgerService).find(call_id.lower())
    if as_json:
        emit_json(call)
        return
    entry, tenant = call.entry, call.entry.tenant
    usage = entry.usage
    whose = "/".join(part for part in (tenant.organisation, tenant.team, tenant.user) if part)
    rows = (
        ("call", entry.id),
        ("status", f"{entry.status} ({entry.http_status}{f', {entry.code}' if entry.code else ''})"),
        ("whose", whose or "-"),
        ("route", f"{entry.route} > {entry.deployment or 'nobody'} ({entry.model or '-'})"),
        ("took", f"{seconds(entry.duration_ns)}, {seconds(entry.overhead_ns)} of it in the gateway"),
        ("tokens", f"{usage.input_tokens} in, {usage.output_tokens} out, by {entry.usage_source}" if usage else "?"),
        ("cost", f"{dollars(call.cost)} by {call.price or 'no known price'}{', re-rated' if call.revised else ''}"),
        (
            "may cost",
            _may(entry.given_up, entry.may_cost or 0, entry.may_cost is None) if entry.given_up else "no more",
        ),
        ("config", entry.config or "-"),
        ("experiment", f"{entry.experiment}, arm {entry.arm}" if entry.experiment else "-"),
        ("trace", entry.trace_id or "-"),
    )
    for name, value in rows:
        console().print(Text(f"{name:<10}  {value}"), soft_wrap=True)
    for number, attempt in enumerate(entry.attempts, 1):
        ended = f"{attempt.failure} ({attempt.status or 'no answer'})" if attempt.failure else "served"
        hedge = ", beside another" if attempt.hedge else ""
        line = f"attempt {number}   {attempt.deployment}: {ended} after {seconds(attempt.duration_ns)}{hedge}"
        if attempt.given_up:
            most = "an unknown amount" if attempt.may_cost is None else f"up to {dollars(attempt.may_cost)}"
            line += f"; given up with {attempt.delivered} tokens delivered, {most} may be billed"
        console().print(Text(line), soft_wrap=True)


@ledger.command()
@click.option("--by", multiple=True, type=click.Choice(_DIMENSIONS), help="Group by this; several make finer groups.")
@_since
@_until
@_where
@_tag
@json_option
@click.pass_obj
def spend(services: Services, by: tuple[Dimension, ...], as_json: bool, **given: Any) -> None:
    """Sum what calls used and cost; calls of unknown cost are counted beside it."""
    wanted = _wanted(services, **given)
    found = services.get(LedgerService).spend(by, wanted)
    if as_json:
        emit_json(found)
        return
    rows = [
        (
            *(row.group[name] or "-" for name in by),
            row.calls,
            row.failures,
            row.usage.input_tokens,
            row.usage.output_tokens,
            dollars(row.cost),
            row.unknown or "",
        )
        for row in found
    ]
    columns = (*by, ">calls", ">failed", ">tokens in", ">out", ">cost", ">unknown")
    console().print(table(None, columns, rows) if rows else _nothing(wanted))
    _say_given_up(found)


@ledger.command()
@_since
@_until
@click.option("--dry-run", is_flag=True, help="Only report.")
@json_option
@click.pass_obj
def rerate(services: Services, since: str | None, until: str | None, dry_run: bool, as_json: bool) -> None:
    """Price history anew with today's prices; what was recorded stays beside it."""
    window = _wanted(services, since=since, until=until, where=(), tag=())
    report = services.get(LedgerService).rerate(window.since_ns, window.until_ns, dry_run=dry_run)
    if report.rerating:
        told = {"changed": report.changed, "before": report.before, "after": report.after}
        services.get(AuditService).record("ledger.rerate", f"rerating/{report.rerating}", after=told)
    if as_json:
        emit_json(report)
        return
    console().print(
        f"{report.calls} calls: {report.changed} cost something else, {report.became_known} became known, "
        f"{report.still_unknown} are still unknown, {report.kept} keep a price that is gone."
    )
    console().print(f"{dollars(report.before)} before, {dollars(report.after)} after.")
    if report.difference:
        rows = [(name, dollars(amount)) for name, amount in report.difference.items()]
        console().print(table(None, ("provider and model", ">difference"), rows))
    if not report.rerating:
        console().print("Nothing was written.")


@ledger.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--provider", required=True, help="Who bills, as openai or azure.ai.openai.")
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="What difference is alarming."
)
@json_option
@click.pass_obj
def reconcile(services: Services, file: Path, provider: str, share: float, as_json: bool) -> None:
    """Lay a provider's bill (CSV or JSON: day, model, amount) beside the ledger; leave with 1 on an alarm."""
    found = services.get(LedgerService).reconcile(read_bill(file), provider=provider, share=share)
    if as_json:
        emit_json(found)
    else:
        rows = [
            (
                line.day,
                line.model,
                dollars(line.billed) if line.billed is not None else "-",
                dollars(line.recorded) if line.recorded is not None else "-",
                dollars(line.difference),
                line.unknown or "",
                "alarm" if line.alarm else "",
            )
            for line in found.lines
        ]
        columns = ("day", "model", ">billed", ">recorded", ">difference", ">unknown", "")
        console().print(table(None, columns, rows))
        more = f", up to {dollars(found.may_cost)} more may be billed for attempts given up" if found.may_cost else ""
        console().print(f"{dollars(found.billed)} billed, {dollars(found.recorded)} recorded{more}.")
    if found.alarm:
        raise click.exceptions.Exit(1)


@ledger.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_since
@_until
@_where
@_tag
@click.pass_obj
def export(services: Services, file: Path, **given: Any) -> None:
    """Write calls to FILE as JSON lines, the newest first."""
    lines = [msgspec.json.encode(call) + b"\n" for call in _all(services, _wanted(services, **given))]
    write_atomic(file, b"".join(lines))
    console().print(f"{len(lines)} calls were written to {file}.", soft_wrap=True)


@click.command()
@click.option("--since", "window", default="1h", show_default=True, metavar="TIME", help="How far back.")
@json_option
@click.pass_obj
def stats(services: Services, window: str, as_json: bool) -> None:
    """Show how each route fares: calls, errors, latency, tokens, cost."""
    begin = services.clock.now() - max(span(window, "--since"), timedelta(seconds=1))
    found = route_stats(services.get(LedgerService), CallFilter(since_ns=nanoseconds(begin)))
    if as_json:
        emit_json(found)
        return
    if not found:
        console().print(f"No call in the last {window}.")
        return
    rows = [
        (
            item.route or "-",
            item.calls,
            item.failures,
            item.refused,
            seconds(item.p50_ns) if item.p50_ns is not None else "-",
            seconds(item.p99_ns) if item.p99_ns is not None else "-",
            seconds(item.overhead_p99_ns) if item.overhead_p99_ns is not None else "-",
            item.input_tokens + item.output_tokens,
            dollars(item.cost) + (f" + {item.unknown} ?" if item.unknown else ""),
        )
        for item in found
    ]
    columns = ("route", ">calls", ">failed", ">refused", ">p50", ">p99", ">own p99", ">tokens", ">cost")
    console().print(table(f"the last {window}", columns, rows))
    _say_given_up(found)
    if sum(item.calls for item in found) > SAMPLE:
        console().print(f"p50 and p99 are those of the newest {SAMPLE:,} calls.")


def _say_given_up(found: Iterable[SpendRow] | Iterable[RouteStats]) -> None:
    rows = list(found)
    count = sum(row.given_up for row in rows)
    if count:
        unknown = sum(row.may_unknown for row in rows)
        console().print(f"{_may(count, sum(row.may_cost for row in rows), unknown > 0)}.".capitalize(), soft_wrap=True)


def _may(count: int, cost: int, unknown: bool) -> str:
    more = " and an unknown amount" if unknown else ""
    return f"up to {dollars(cost)}{more} more may be billed for {count} attempt{'s' if count > 1 else ''} given up"


def _wanted(
    services: Services,
    *,
    since: str | None,
    until: str | None,
    where: tuple[str, ...],
    tag: tuple[str, ...],
    unknown_cost: bool | None = None,
) -> CallFilter:
    now = services.clock.now()
    match = pairs(where, "--where")
    unknown = next((name for name in match if name not in _FIELDS), None)
    if unknown is not None:
        raise UserError(f"calls have no '{unknown}'", where="--where", expected=", ".join(_FIELDS))
    return CallFilter(
        since_ns=0 if since is None else max(0, nanoseconds(moment(since, "--since", now, ahead=False))),
        until_ns=FOREVER if until is None else nanoseconds(moment(until, "--until", now, ahead=False)),
        match=msgspec.convert(match, dict[Field, str]),
        metadata=pairs(tag, "--tag"),
        unknown_cost=unknown_cost,
    )


def _all(services: Services, wanted: CallFilter) -> Iterator[LedgerCall]:
    after = None
    while True:
        page = services.get(LedgerService).calls(wanted, limit=_PAGE, after=after)
        yield from page.calls
        after = page.after
        if after is None:
            return


def _nothing(wanted: CallFilter) -> str:
    if wanted != CallFilter():
        return "There are no such calls."
    return "No calls yet. Serve the project's models: pilothouse gateway serve"


def _telling(ids: list[str]) -> int:
    """Return how many letters of each id tell these calls apart."""
    return next((size for size in range(_SHORT, _WHOLE) if len({text[:size] for text in ids}) == len(ids)), _WHOLE)


def _row(call: LedgerCall, size: int) -> tuple[object, ...]:
    entry = call.entry
    when = f"{datetime.fromtimestamp(entry.at_ns / NANO, UTC):%m-%d %H:%M}"
    asked = bool(entry.deployment)
    tokens = entry.usage.input_tokens + entry.usage.output_tokens if entry.usage else "?" if asked else "-"
    cost = dollars(call.cost) if asked else "-"
    status = entry.code or entry.status
    return entry.id[:size], when, entry.route or "-", status, seconds(entry.duration_ns), tokens, cost
