"""Questions to the ledger's store: what is chosen, grouped and summed."""

# ruff: noqa: S608 - only names and constants of this package stand in statements; values are parameters
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

import msgspec

from pilothouse.core.errors import NotFound, StorageError, UserError, nearest_hint
from pilothouse.gateway.ledger.store import LedgerStore
from pilothouse.gateway.ledger.tables import UNKNOWN, USAGE
from pilothouse.gateway.ledger.types import (
    FOREVER,
    ArmSpend,
    CallFilter,
    Dimension,
    Field,
    LedgerCall,
    LedgerPage,
    SpendRow,
    Sums,
    TenantSpend,
)
from pilothouse.gateway.types import LedgerEntry, Tenant
from pilothouse.models.types import Usage

_TIMES: Final = {
    "day": "strftime(make_timestamp_ns(at_ns), '%Y-%m-%d')",
    "hour": "strftime(make_timestamp_ns(at_ns), '%Y-%m-%dT%H')",
}
_PIECE: Final = 20_000
_CANDIDATES: Final = 5
_FAILED: Final = "status IN ('failed', 'cut')"
_CHARGED: Final = (
    "CASE WHEN g.id IS NOT NULL THEN g.taken"
    " WHEN cost IS NULL THEN CAST(json_extract(entry, '$.charged') AS BIGINT) ELSE cost END"
)
_WITH_GIVEN_UP: Final = (
    "rated LEFT JOIN (SELECT id, attempts, may_cost, taken FROM given_up WHERE at_ns >= ? AND at_ns < ?) AS g"
    " ON g.id = rated.id"
)
_GIVEN_UP: Final = (
    "COALESCE(sum(g.attempts), 0), COALESCE(sum(g.may_cost), 0),"
    " count(*) FILTER (g.id IS NOT NULL AND g.may_cost IS NULL)"
)
_SUMS: Final = ", ".join(f'sum("{name}")' for name in USAGE)
_decode: Final = msgspec.json.Decoder(LedgerEntry).decode


def spend(store: LedgerStore, by: Sequence[Dimension], wanted: CallFilter) -> list[SpendRow]:
    """Return what calls used and cost by group, the dearest first, or in the order of time where that is grouped."""
    for name in by:
        if name not in get_args(Dimension):
            raise UserError(f"spend cannot be grouped by '{name}'", expected=nearest_hint(name, get_args(Dimension)))
    where, parameters = _where(wanted)
    groups = [_TIMES.get(name, f'"{name}"') for name in by]
    timed = [str(number) for number, name in enumerate(by, 1) if name in _TIMES]
    rows = store.rows(
        f"SELECT {''.join(f'{group}, ' for group in groups)}count(*), count(*) FILTER ({_FAILED}),"
        f" count(*) FILTER (status = 'refused'), count(*) FILTER ({UNKNOWN}), COALESCE(sum(cost), 0) AS total,"
        f" {_GIVEN_UP}, {_SUMS} FROM {_WITH_GIVEN_UP} WHERE {where} {'GROUP BY ALL' if by else 'HAVING count(*) > 0'}"
        f" ORDER BY {', '.join([*timed, 'total DESC', *map(str, range(1, len(by) + 1))])}",
        [wanted.since_ns, wanted.until_ns, *parameters],
    )
    return [_spend_row(by, row) for row in rows]


def _spend_row(by: Sequence[Dimension], row: tuple[Any, ...]) -> SpendRow:
    calls, failures, refused, unknown, cost, given_up, may_cost, may_unknown, *sums = row[len(by) :]
    return SpendRow(
        group=dict(zip(by, row, strict=False)),
        calls=calls,
        failures=failures,
        refused=refused,
        unknown=unknown,
        cost=int(cost),
        given_up=int(given_up),
        may_cost=int(may_cost),
        may_unknown=may_unknown,
        usage=Usage(**{name: int(value) for name, value in zip(USAGE, sums, strict=True)}),
    )


def page(store: LedgerStore, wanted: CallFilter, limit: int, after: str | None) -> LedgerPage:
    """Return calls, the newest first.

    Raises:
        UserError: when ``after`` is not what a page gave.
    """
    where, parameters = _where(wanted)
    if after is not None:
        at, _, call = after.partition("/")
        if not at.isdecimal():
            raise UserError(f"'{after}' is no place in the ledger", expected="`after` of the page before")
        where += " AND (at_ns, id) < (?, ?)"
        parameters += [int(at), call]
    rows = store.rows(
        f"SELECT entry, cost, price, revised, at_ns, id FROM rated WHERE {where} ORDER BY at_ns DESC, id DESC LIMIT ?",
        [*parameters, limit + 1],
    )
    calls = tuple(_call(row) for row in rows[:limit])
    return LedgerPage(calls=calls, after=f"{rows[limit - 1][4]}/{rows[limit - 1][5]}" if len(rows) > limit else None)


def call(store: LedgerStore, call_id: str) -> LedgerCall:
    """Return one call.

    Raises:
        NotFound: when the ledger has no such call.
    """
    rows = store.rows("SELECT entry, cost, price, revised FROM rated WHERE id = ?", [call_id])
    if not rows:
        raise NotFound(f"the ledger has no call '{call_id}'", expected="the value of the header x-pilothouse-call")
    return _call(rows[0])


def find(store: LedgerStore, prefix: str) -> str:
    """Return the id of the one call whose id begins with ``prefix``.

    Raises:
        NotFound: when there is none.
        UserError: when there are several.
    """
    rows = store.rows("SELECT id FROM recorded WHERE starts_with(id, ?) ORDER BY id LIMIT ?", [prefix, _CANDIDATES])
    if not rows:
        raise NotFound(
            f"the ledger has no call '{prefix}'",
            expected="the value of the header x-pilothouse-call, or its beginning",
            fix="pilothouse gateway ledger list",
        )
    if len(rows) > 1:
        listed = ", ".join(found for (found,) in rows)
        raise UserError(f"several calls begin with '{prefix}'", expected=f"one of {listed}", fix="type more of it")
    return rows[0][0]


def stream(store: LedgerStore, wanted: CallFilter) -> Iterator[list[LedgerCall]]:
    """Yield calls in the order of time, some thousands at once: a long history needs little memory."""
    where, parameters = _where(wanted)
    # Where pieces begin is found by the moments alone: the engine sorts whole entries in memory.
    begins = store.rows(
        "SELECT DISTINCT at_ns FROM ("
        f"SELECT at_ns, row_number() OVER (ORDER BY at_ns) AS number FROM recorded WHERE at_ns >= ? AND at_ns < ?)"
        f" WHERE number % {_PIECE} = 1 ORDER BY at_ns",
        [wanted.since_ns, wanted.until_ns],
    )
    ends = [*(begin for (begin,) in begins[1:]), wanted.until_ns][: len(begins)]
    for (begin,), end in zip(begins, ends, strict=True):
        rows = store.rows(
            f"SELECT entry, cost, price, revised FROM rated WHERE {where} AND at_ns >= ? AND at_ns < ?"
            " ORDER BY at_ns, id",
            [*parameters, begin, end],
        )
        yield [_call(row) for row in rows]


def tenants(store: LedgerStore, since_ns: int) -> list[TenantSpend]:
    """Return what budgets count of each tenant and route since a moment: copies and repeats are charged to nobody."""
    rows = store.rows(
        'SELECT "key", organisation, team, "user", use_case, route, count(*), sum(input_tokens + output_tokens),'
        f" COALESCE(sum({_CHARGED}), 0), COALESCE(sum(g.taken - COALESCE(cost, 0)), 0)"
        f" FROM {_WITH_GIVEN_UP} WHERE at_ns >= ? AND status <> 'refused' AND NOT shadow"
        " GROUP BY ALL ORDER BY ALL",
        [since_ns, FOREVER, since_ns],
    )
    return [
        TenantSpend(
            tenant=Tenant(key=key, organisation=organisation, team=team, user=user, use_case=use_case),
            route=route,
            requests=requests,
            tokens=int(tokens),
            cost=int(cost),
            unsure=int(unsure),
        )
        for key, organisation, team, user, use_case, route, requests, tokens, cost, unsure in rows
    ]


def arms(store: LedgerStore, experiment: str, since_ns: int, until_ns: int) -> list[ArmSpend]:
    """Return what the arms of an experiment came to, by name."""
    well = "status = 'ok'"
    sums = ", ".join(
        (
            _moments("duration_ns / 1e9", well),
            _moments("first_ns / 1e9", f"{well} AND stream AND first_ns > 0"),
            _moments("cost / 1e9", "cost IS NOT NULL"),
            _moments("output_tokens", well),
        )
    )
    rows = store.rows(
        f"SELECT arm, count(*), count(*) FILTER ({_FAILED}), count(*) FILTER (status = 'cancelled'),"
        f" count(*) FILTER ({UNKNOWN}), {sums} FROM rated"
        " WHERE experiment = ? AND at_ns >= ? AND at_ns < ? AND NOT shadow AND status <> 'refused'"
        " GROUP BY arm ORDER BY arm",
        [experiment, since_ns, until_ns],
    )
    return [
        ArmSpend(
            arm=row[0],
            calls=row[1],
            errors=row[2],
            cancelled=row[3],
            unknown=row[4],
            latency=Sums(n=row[5], total=row[6], squares=row[7]),
            first=Sums(n=row[8], total=row[9], squares=row[10]),
            cost=Sums(n=row[11], total=row[12], squares=row[13]),
            output_tokens=Sums(n=row[14], total=row[15], squares=row[16]),
        )
        for row in rows
    ]


def _moments(value: str, chosen: str) -> str:
    double = f"CAST({value} AS DOUBLE)"
    return (
        f"count(*) FILTER ({chosen}), COALESCE(sum({double}) FILTER ({chosen}), 0),"
        f" COALESCE(sum({double} * {double}) FILTER ({chosen}), 0)"
    )


def _call(row: tuple[Any, ...]) -> LedgerCall:
    try:
        entry = _decode(row[0])
    except msgspec.DecodeError as error:
        raise StorageError(f"an entry of the ledger cannot be read: {error}", where=row[0][:80]) from error
    return LedgerCall(entry=entry, cost=row[1], price=row[2], revised=row[3])


def _where(wanted: CallFilter) -> tuple[str, list[Any]]:
    parts, parameters = ["at_ns >= ?", "at_ns < ?"], list[Any]([wanted.since_ns, wanted.until_ns])
    for name, value in wanted.match.items():
        if name not in get_args(Field):
            raise UserError(f"calls cannot be chosen by '{name}'", expected=nearest_hint(name, get_args(Field)))
        parts.append(f'"{name}" = ?')
        parameters.append(value)
    for tag, value in wanted.metadata.items():
        # A JSON pointer: whatever the tag holds, it is a name in it.
        parts.append("json_extract_string(entry, ?) = ?")
        parameters += [f"/metadata/{tag.replace('~', '~0').replace('/', '~1')}", value]
    if wanted.unknown_cost is not None:
        parts.append(UNKNOWN if wanted.unknown_cost else f"NOT {UNKNOWN}")
    return " AND ".join(parts), parameters
