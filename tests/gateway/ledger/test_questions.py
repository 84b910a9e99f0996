"""Answers of the ledger against sums by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, NotFound, StorageError, UserError
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import CallFilter
from pilothouse.gateway.types import Tenant
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

from .conftest import DAY, NOON, NOON_NS, entry

Ledger = Callable[..., LedgerService]


def test_spend_is_summed_by_group_and_unknown_costs_stand_beside_it(ledger: Ledger) -> None:
    service = ledger(
        entry(1),
        entry(2, model="n", cost=5, usage=Usage(input_tokens=7, cached_input_tokens=3, images=2)),
        entry(3, cost=None, price=None),
        entry(4, status="failed", cost=2),
        entry(5, status="refused", deployment="", cost=None, usage=None),
    )
    first, second = service.spend(("model",))
    assert (first.group, first.calls, first.failures, first.refused, first.unknown) == ({"model": "m"}, 4, 1, 1, 1)
    assert first.cost == 1_000_002
    assert (second.group, second.cost, second.unknown) == ({"model": "n"}, 5, 0)
    assert second.usage == Usage(input_tokens=7, cached_input_tokens=3, images=2)


def test_days_and_hours_are_those_of_utc(ledger: Ledger) -> None:
    midnight = NOON_NS + DAY // 2
    service = ledger(entry(1, at_ns=midnight - 1), entry(2, at_ns=midnight))
    assert [row.group["day"] for row in service.spend(("day",))] == ["2026-11-20", "2026-11-21"]
    assert [row.group["hour"] for row in service.spend(("hour",))] == ["2026-11-20T23", "2026-11-21T00"]


def test_calls_are_chosen_and_paged_the_newest_first(ledger: Ledger) -> None:
    service = ledger(*(entry(number, at_ns=NOON_NS + number // 3) for number in range(20)))
    seen: list[str] = []
    after = None
    while True:
        page = service.calls(limit=6, after=after)
        seen += [call.entry.id for call in page.calls]
        after = page.after
        if after is None:
            break
    assert seen == [f"call-{number:06d}" for number in reversed(range(20))]
    wanted = CallFilter(since_ns=NOON_NS + 1, until_ns=NOON_NS + 2)
    assert [call.entry.id for call in service.calls(wanted).calls] == ["call-000005", "call-000004", "call-000003"]


def test_unknown_costs_can_be_looked_for(ledger: Ledger) -> None:
    service = ledger(entry(1), entry(2, cost=None))
    assert [call.entry.id for call in service.calls(CallFilter(unknown_cost=True)).calls] == ["call-000002"]
    assert [call.entry.id for call in service.calls(CallFilter(unknown_cost=False)).calls] == ["call-000001"]


def test_an_empty_ledger_answers(ledger: Ledger) -> None:
    service = ledger()
    assert service.spend() == []
    assert service.spend(("team", "day")) == []
    assert service.calls().calls == ()
    assert service.spent(0) == []
    with pytest.raises(NotFound, match="no call 'x'"):
        service.call("x")


def test_wrong_questions_are_named(ledger: Ledger) -> None:
    service = ledger()
    with pytest.raises(UserError, match="grouped by 'modle'"):
        service.spend(("modle",))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="chosen by '1=1 --'"):
        service.calls(CallFilter(match={"1=1 --": ""}))  # type: ignore[dict-item]
    with pytest.raises(UserError, match="no place in the ledger"):
        service.calls(after="nowhere")


def test_arms_give_what_statistics_need(ledger: Ledger) -> None:
    one = {"experiment": "e", "arm": "a"}
    service = ledger(
        entry(1, **one),
        entry(2, **one, duration_ns=4 * 10**9, cost=3_000_000),
        entry(3, **one, status="cut", cost=None),
        entry(4, **one, shadow=True),
        entry(5, **one, status="refused"),
        entry(6, experiment="e", arm="b", status="cancelled"),
        entry(7, experiment="other", arm="a"),
    )
    a, b = service.arms("e")
    assert (a.arm, a.calls, a.errors, a.unknown) == ("a", 3, 1, 1)
    assert (a.latency.n, a.latency.total, a.latency.squares) == (2, 6.0, 20.0)
    assert (a.cost.n, a.cost.total) == (2, pytest.approx(0.004))
    assert (b.arm, b.calls, b.errors, b.cancelled) == ("b", 1, 0, 1)


def test_opening_balances_are_by_tenant_and_route(ledger: Ledger) -> None:
    other = Tenant(key="k2")
    service = ledger(
        entry(1),
        entry(2),
        entry(3, tenant=other),
        entry(4, status="refused"),
        entry(5, at_ns=NOON_NS - DAY),
        entry(6, tenant=other, cost=None, price=None, charged=7),
        entry(7, tenant=other, cost=None, price=None),
        entry(8, tenant=other, shadow=True),
    )
    first, second = service.spent(NOON_NS)
    assert (first.tenant, first.route, first.requests, first.tokens, first.cost) == (
        entry(1).tenant,
        "fast",
        2,
        2_020,
        2_000_000,
    )
    assert (second.tenant, second.requests, second.cost) == (other, 3, 1_000_007), "unknown costs as set aside"


def test_what_may_be_billed_stands_beside_the_cost_and_in_budgets(ledger: Ledger) -> None:
    service = ledger(
        entry(1),
        entry(2, given_up=1, may_cost=500),
        entry(3, given_up=2, may_cost=0),
        entry(4, given_up=1, charged=2_000_000),
        entry(5, status="failed", deployment="", cost=0, given_up=1, may_cost=70, at_ns=NOON_NS - 9 * DAY),
        entry(6, at_ns=NOON_NS - 9 * DAY),
    )
    for _ in range(2):
        (found,) = service.spend()
        assert (found.cost, found.given_up, found.may_cost, found.may_unknown) == (5_000_000, 5, 570, 1)
        (spent,) = service.spent(NOON_NS)
        assert (spent.cost, spent.unsure) == (5_000_500, 1_000_500)
        assert [row.given_up for row in service.spend((), CallFilter(since_ns=NOON_NS + 4))] == [1]
        service.ingest()  # the older day is sealed, and answers stay


def test_closed_days_are_sealed_and_answers_stay(folder: Path, ledger: Ledger) -> None:
    service = ledger(*(entry(number, at_ns=NOON_NS - (number % 5) * DAY) for number in range(50)))
    before = [service.spend(("day", "model")), service.calls(limit=100)]
    service.ingest()
    assert len(list((folder / "sealed").iterdir())) == 2
    assert [service.spend(("day", "model")), service.calls(limit=100)] == before
    again = ledger(*(entry(number, at_ns=NOON_NS - (number % 5) * DAY) for number in range(50)))
    report = again.ingest()
    assert (report.calls, report.duplicates) == (0, 50), "a call that was sealed is known"
    sealed = next((folder / "sealed").iterdir())
    (folder / "sealed" / "left-by-a-crash.parquet").write_bytes(b"half")
    assert [service.spend(("day", "model")), service.calls(limit=100)] == before
    sealed.unlink()
    with pytest.raises(StorageError, match="sealed files of the ledger are missing"):
        service.spend()


def test_one_process_at_a_time_holds_the_store(folder: Path, ledger: Ledger) -> None:
    ledger(entry(1))
    held = OwnerLock(folder / "owner.lock", 0)
    waiting = LedgerService(folder, rates=RateCard(), clock=FixedClock(NOON), wait=0)
    with pytest.raises(Conflict, match="the ledger's store is held"):
        waiting.spend()
    held.release()
    assert waiting.spend()[0].calls == 1


def test_the_forecast_holds_what_an_even_pace_comes_to_and_says_when_a_budget_is_used_up(ledger: Ledger) -> None:
    service = ledger(*(entry(day, at_ns=NOON_NS - day * DAY) for day in range(11)))
    begin, end = NOON_NS - int(10.5 * DAY), NOON_NS + 10 * DAY
    said = service.forecast(begin, end, budget=15_000_000)
    assert (said.spent, said.expected, said.low, said.high, said.days) == (
        11_000_000,
        21_000_000,
        21_000_000,
        21_000_000,
        10,
    )
    assert said.exhausted_ns == NOON_NS + 4 * DAY
    assert said.note == ""


def test_with_few_days_the_forecast_is_inconclusive(ledger: Ledger) -> None:
    said = ledger(entry(1), entry(2, at_ns=NOON_NS - DAY)).forecast(0, NOON_NS + DAY)
    assert (said.expected, said.low) == (None, None)
    assert "inconclusive: 1 whole days of spend are known, 7 are needed" in said.note


def test_uneven_days_widen_the_interval_and_a_trend_is_said(ledger: Ledger) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    midnight = int(now.timestamp()) * 10**9
    service = ledger(
        *(
            entry(day, at_ns=midnight - day * DAY, cost=10_000_000 if day <= 5 else 1_000_000 + day)
            for day in range(1, 11)
        ),
        now=now,
    )
    said = service.forecast(midnight - 10 * DAY, midnight + 5 * DAY)
    assert said.low is not None
    assert said.expected is not None
    assert said.high is not None
    assert said.spent <= said.low < said.expected < said.high
    assert "trend" in said.note
