"""A provider's bill beside the ledger: read, laid side by side, and an alarm where they differ."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from pilothouse.core.errors import DataError
from pilothouse.gateway.ledger.types import BillLine, ReconciledLine, Reconciliation, SpendRow
from pilothouse.gateway.types import NANO

_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2200, 1, 1)
_EXPECTED: Final = "columns day (2026-11-21), model, amount (US dollars)"


def read_bill(path: Path) -> tuple[BillLine, ...]:
    """Read a bill: CSV with a head line, or a JSON list of objects; lines of one day and model are added up.

    Raises:
        DataError: when the file cannot be read, or a line is not a day, a model and an amount; it names the line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the bill: {error}", where=str(path), expected="UTF-8 text") from error
    rows = _json_rows(text, path) if path.suffix.lower() == ".json" else _csv_rows(text)
    sums: dict[tuple[str, str], int] = {}
    for number, row in rows:
        line = _line(row, f"{path}:{number}")
        sums[(line.day, line.model)] = sums.get((line.day, line.model), 0) + line.amount
    if not sums:
        raise DataError("the bill has no lines", where=str(path), expected=_EXPECTED)
    return tuple(BillLine(day=day, model=model, amount=amount) for (day, model), amount in sorted(sums.items()))


def reconcile(
    bill: Iterable[BillLine], recorded: Iterable[SpendRow], *, share: float = 0.01, least: int = 10_000_000
) -> Reconciliation:
    """Lay a bill beside the ledger.

    Args:
        bill: The bill's lines.
        recorded: The ledger's spend by ``day`` and ``model``, of the bill's provider and days.
        share: A line further off than this share of what was billed raises the alarm.
        least: Nano-dollars up to which no difference raises it; a cent.
    """
    billed = {(line.day, line.model): line.amount for line in bill}
    ledger = {(row.group["day"], row.group["model"]): row for row in recorded}
    lines: list[ReconciledLine] = []
    for day, model in sorted(billed.keys() | ledger.keys()):
        amount, row = billed.get((day, model)), ledger.get((day, model))
        difference, may_cost = (amount or 0) - (row.cost if row else 0), row.may_cost if row else 0
        lines.append(
            ReconciledLine(
                day=day,
                model=model,
                billed=amount,
                recorded=row.cost if row else None,
                unknown=row.unknown if row else 0,
                difference=difference,
                may_cost=may_cost,
                alarm=_far(_beyond(difference, may_cost), amount or 0, share, least),
            )
        )
    total, spent = sum(billed.values()), sum(row.cost for row in ledger.values())
    may_cost = sum(row.may_cost for row in ledger.values())
    alarm = _far(_beyond(total - spent, may_cost), total, share, least) or any(line.alarm for line in lines)
    return Reconciliation(
        lines=tuple(lines), billed=total, recorded=spent, difference=total - spent, may_cost=may_cost, alarm=alarm
    )


def dated(line: BillLine) -> BillLine:
    """Return a line whose day is written as the ledger writes it.

    Raises:
        DataError: for what is no day of our time.
    """
    try:
        day = date.fromisoformat(line.day)
    except ValueError:
        day = date.min
    if not _FIRST <= day <= _LAST:
        raise DataError(f"a line of the bill is of no day: {line.day[:40]!r}", expected="a UTC day such as 2026-11-21")
    return replace(line, day=day.isoformat())


def _beyond(difference: int, may_cost: int) -> int:
    """Return how far a bill lies outside of what may be billed: nothing more than is recorded, or as much more."""
    return difference if difference < 0 else max(0, difference - may_cost)


def _far(difference: int, billed: int, share: float, least: int) -> bool:
    return abs(difference) > max(least, Decimal(str(share)) * abs(billed))


def _csv_rows(text: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        yield reader.line_num, {(name or "").strip().lower(): value for name, value in row.items()}


def _json_rows(text: str, path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        # Amounts as decimals: a bill is exact.
        data: Any = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise DataError(f"the bill is not JSON: {error}", where=str(path)) from error
    if not isinstance(data, list):
        raise DataError("the bill is not a list", where=str(path), expected=f"a list of objects with {_EXPECTED}")
    for number, row in enumerate(cast("list[object]", data), 1):
        if not isinstance(row, dict):
            raise DataError(f"entry {number} is not an object", where=str(path), expected=_EXPECTED)
        yield number, cast("dict[str, Any]", row)


def _line(row: Mapping[str, Any], where: str) -> BillLine:
    try:
        day = date.fromisoformat(str(row["day"]).strip()).isoformat()
        model = str(row["model"]).strip()
        amount = Decimal(str(row["amount"]).strip().removeprefix("$").replace(",", "")) * NANO
        return BillLine(day=day, model=model, amount=int(amount.to_integral_value()))
    except (KeyError, ValueError, OverflowError, InvalidOperation) as error:
        raise DataError(f"a line of the bill cannot be read: {error!r}", where=where, expected=_EXPECTED) from error
