"""History priced anew, and a provider's bill beside the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pilothouse.core.errors import DataError, UserError
from pilothouse.gateway.ledger.bills import read_bill
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import BillLine
from pilothouse.models.settings import Price
from pilothouse.models.types import Usage

from .conftest import DAY, NOON_NS, entry

Ledger = Callable[..., LedgerService]
TWO = Price(model="m", input=2.0, output=0.0, provider="house")


def test_a_corrected_price_revises_history_and_leaves_the_entries(ledger: Ledger) -> None:
    recorded = (
        entry(1),
        entry(2, cost=None, price=None),
        entry(3, cost=2_000_000),
        entry(4, model="other"),
        entry(5, model="other", cost=None),
        entry(6, status="refused", deployment="", usage=None, cost=None),
        entry(7, usage=None, cost=None),
    )
    service = ledger(*recorded, prices=(TWO,))
    dry = service.rerate(dry_run=True)
    assert (dry.calls, dry.changed, dry.became_known, dry.still_unknown, dry.kept) == (6, 1, 1, 2, 1)
    assert dry.after - dry.before == 3_000_000
    assert dry.difference == {"house/m": 3_000_000}
    assert dry.rerating == ""
    assert service.spend()[0].cost == 4_000_000, "a dry run changes nothing"

    done = service.rerate()
    assert done.rerating
    (row,) = service.spend()
    assert (row.cost, row.unknown) == (7_000_000, 2)
    call = service.call("call-000001")
    assert call.entry == recorded[0]
    assert (call.cost, call.revised) == (2_000_000, True)
    assert call.price is not None
    assert call.price.startswith("own-")
    again = service.rerate()
    assert (again.changed, again.became_known, again.rerating) == (0, 0, "")


def test_the_latest_rerating_wins_and_a_span_of_time_can_be_chosen(ledger: Ledger) -> None:
    ledger(entry(1), entry(2, at_ns=NOON_NS + DAY), prices=(TWO,)).rerate(until_ns=NOON_NS + DAY)
    three = ledger(prices=(Price(model="m", input=3.0, output=0.0),))
    assert three.spend()[0].cost == 3_000_000
    three.rerate()
    assert three.spend()[0].cost == 6_000_000


def test_a_cached_answer_is_not_billed_by_a_rerating(ledger: Ledger) -> None:
    service = ledger(entry(1, cache="exact", cost=0, usage=Usage(input_tokens=5)), prices=(TWO,))
    assert service.rerate().changed == 0
    assert service.spend()[0].cost == 0


def test_a_bill_is_laid_beside_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "day,model,amount\n2026-11-20,m,$1.50\n2026-11-20,m,0.5\n2026-11-20,ghost,0.75\n2026-11-21,m,0.009\n"
    )
    service = ledger(
        entry(1, cost=2_000_000_000),
        entry(2, model="forgotten", cost=500_000_000),
        entry(3, model="forgotten", cost=None),
        entry(4, provider="elsewhere", cost=10**12),
    )
    said = service.reconcile(read_bill(bill), provider="house")
    lines = {(line.day, line.model): line for line in said.lines}
    assert lines["2026-11-20", "m"].difference == 0
    assert not lines["2026-11-20", "m"].alarm
    assert (lines["2026-11-20", "ghost"].recorded, lines["2026-11-20", "ghost"].alarm) == (None, True)
    forgotten = lines["2026-11-20", "forgotten"]
    assert (forgotten.billed, forgotten.difference, forgotten.unknown, forgotten.alarm) == (None, -500_000_000, 1, True)
    assert not lines["2026-11-21", "m"].alarm, "less than a cent"
    assert (said.billed, said.recorded, said.difference) == (2_759_000_000, 2_500_000_000, 259_000_000)
    assert said.alarm


def test_a_bill_within_what_may_be_billed_is_no_alarm(ledger: Ledger) -> None:
    service = ledger(entry(1, cost=10**9, given_up=1, may_cost=10**9))
    for amount, alarm in ((10**9, False), (2 * 10**9, False), (3 * 10**9, True), (9 * 10**8, True)):
        said = service.reconcile([BillLine(day="2026-11-20", model="m", amount=amount)], provider="house")
        assert (said.may_cost, said.lines[0].may_cost, said.alarm) == (10**9, 10**9, alarm)


def test_a_bill_of_json_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "bill.json"
    path.write_text(
        '[{"day": "2026-11-20", "model": "m", "amount": 0.1}, {"day": "2026-11-20", "model": "m", "amount": 0.2}]'
    )
    assert read_bill(path) == (BillLine(day="2026-11-20", model="m", amount=300_000_000),)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "day,model,amount\n", "no lines"),
        ("a.csv", "day,model\n2026-11-20,m\n", "a.csv:2"),
        ("a.csv", "day,model,amount\n20th,m,1\n", "a.csv:2"),
        ("a.csv", "day,model,amount\n2026-11-20,m,NaN\n", "a.csv:2"),
        ("a.json", "{}", "not a list"),
        ("a.json", "[1]", "entry 1 is not an object"),
        ("a.json", "[", "not JSON"),
    ],
)
def test_a_bill_that_cannot_be_read_names_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_bill(path)


def test_a_bill_without_lines_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UserError, match="no lines"):
        ledger().reconcile((), provider="house")


@pytest.mark.parametrize("day", ["", "yesterday", "2026-13-01", "0001-01-01", "9999-12-31", "\ud800"])
def test_a_line_without_a_day_is_refused(ledger: Ledger, day: str) -> None:
    with pytest.raises(DataError, match="of no day"):
        ledger().reconcile([BillLine(day=day, model="m", amount=1)], provider="house")
