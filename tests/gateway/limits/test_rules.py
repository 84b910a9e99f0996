"""Windows of the calendar, and rules made ready."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.gateway.limits.rules import compile_rules, needs_sharing
from pilothouse.gateway.limits.shared.script import ticks
from pilothouse.gateway.limits.windows import FOREVER, window
from pilothouse.gateway.settings import LimitRule, Period
from pilothouse.gateway.types import NANO, Tenant


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NANO


@pytest.mark.parametrize(
    ("period", "at", "begin", "end"),
    [
        ("second", "2026-11-21T22:33:27", "2026-11-21T22:33:27", "2026-11-21T22:33:28"),
        ("hour", "2026-11-21T22:33:27", "2026-11-21T22:00:00", "2026-11-21T23:00:00"),
        ("day", "2026-11-21T22:33:27", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        ("week", "2026-11-22T23:59:59", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("week", "2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("month", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_calendar_windows(period: Period, at: str, begin: str, end: str) -> None:
    assert window(period, ns(at) + 999_999_999) == (ns(begin), ns(end))
    assert window(period, ns(begin)) == (ns(begin), ns(end))
    assert window(period, ns(end))[0] == ns(end)


def test_total_has_no_end() -> None:
    assert window("total", ns("2026-11-21T00:00:00")) == (0, FOREVER)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (LimitRule(), "exactly one thing, this one 0"),
        (LimitRule(requests=1, tokens=1), "this one 2"),
        (LimitRule(requests=1, match={"tema": "x"}), "did you mean 'team'"),
        (LimitRule(dollars=float("inf")), "finite"),
    ],
)
def test_what_is_no_limit_is_refused(rule: LimitRule, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules([LimitRule(requests=1), rule])
    assert words in str(caught.value)
    assert "gateway.limits[1]" in str(caught.value)


def test_money_is_whole_nano_dollars() -> None:
    (rule,) = compile_rules([LimitRule(dollars=0.1, warn=0.33)])
    assert (rule.limit, rule.warn_at) == (100_000_000, 33_000_000)


def test_an_identity_is_what_is_counted_and_nothing_else() -> None:
    one, two, other, same = compile_rules(
        [
            LimitRule(name="a", requests=1, match={"team": "x", "route": "y"}),
            LimitRule(name="b", requests=2, match={"route": "y", "team": "x&route:y"}, mode="shadow"),
            LimitRule(requests=1, per="hour", match={"team": "x", "route": "y"}),
            LimitRule(requests=9, match={"route": "y", "team": "x"}, mode="shadow"),
        ]
    )
    assert same.identity == f"{one.identity}#2"
    assert len({one.identity, two.identity, other.identity, same.identity}) == 4


def test_names_that_contain_the_separator_do_not_meet() -> None:
    (rule,) = compile_rules([LimitRule(requests=1, each="team")])
    assert rule.value(Tenant(organisation="a/b", team="c"), "") != rule.value(Tenant(organisation="a", team="b/c"), "")
    assert "@" not in rule.value(Tenant(organisation="a@1", team="=x"), "")


def test_only_rules_that_refuse_need_sharing() -> None:
    assert needs_sharing([LimitRule(requests=1, mode="shadow"), LimitRule(concurrency=1)])
    assert not needs_sharing([LimitRule(requests=1, mode="shadow")])


@pytest.mark.parametrize(
    ("tokens", "period", "tick"),
    [(10**6, "minute", 1), (10**6, "day", 100), (10**9, "month", 60_000_000), (2**50, "second", 1_000_000)],
)
def test_a_full_bucket_is_a_whole_number(tokens: int, period: Period, tick: int) -> None:
    (rule,) = compile_rules([LimitRule(tokens=tokens, per=period)])
    found = ticks(rule)
    assert rule.length // 1000 % found == 0
    assert rule.length // 1000 // found * tokens <= 2**50
    assert found == tick
