"""What follows a failure."""

from __future__ import annotations

import random

import pytest

from pilothouse.gateway.settings import BreakerSettings, CallRetries

from .conftest import Bench, D

NEVER = BreakerSettings(failures=10_000)


@pytest.mark.parametrize("failure", ["rate_limit", "server", "connect", "timeout", "stream_idle", "cut", "malformed"])
def test_a_passing_failure_goes_on_and_then_round_again(bench: Bench, failure: str) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority", retries=CallRetries(attempts=4), breaker=NEVER)
    assert bench.walk(failure=failure) == ["a", "b", "a", "b"]


@pytest.mark.parametrize("failure", ["context_length", "auth"])
def test_what_waiting_does_not_mend_goes_only_to_others(bench: Bench, failure: str) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority", retries=CallRetries(attempts=9), fallback=("long",))
    bench.add("long", D("c"), D("a"))
    assert bench.walk(failure=failure) == ["a", "b", "c"]


@pytest.mark.parametrize("failure", ["request", "content_filter"])
def test_the_requests_own_fault_ends_it_unless_configured(bench: Bench, failure: str) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority")
    way = bench.start()
    step = way.next()
    way.failed(step, failure)
    assert way.next() is None
    assert way.reason == "failure"
    bench.add("chat", D("a"), D("b"), strategy="priority", fallback_on=(failure,))
    assert bench.walk(failure=failure) == ["a", "b"]


def test_a_passing_failure_that_must_not_go_elsewhere_is_repeated_there(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority", fallback_on=(), breaker=NEVER)
    assert bench.walk() == ["a", "a", "a"]


def test_a_mistake_of_the_request_ends_what_was_begun_before(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority", retries=CallRetries(attempts=9))
    way = bench.start()
    way.failed(way.next(), "server")
    way.failed(way.next(), "request")
    assert way.next() is None


def test_not_the_same_one_where_it_says_so(bench: Bench) -> None:
    bench.add("chat", D("a"))
    way = bench.start()
    way.failed(way.next(), "server", retryable=False)
    assert way.next() is None
    assert way.reason == "exhausted"


def test_waits_are_drawn_below_a_bound_that_doubles(bench: Bench) -> None:
    retries = CallRetries(attempts=6, base=1.0, longest=3.0, budget=1.0)
    bench.add("chat", D("a"), retries=retries, breaker=NEVER)
    bounds = [1.0, 2.0, 3.0, 3.0, 3.0]
    most = [0.0] * 5
    for _ in range(100):
        way = bench.start()
        step = way.next()
        assert step.wait == 0
        for place, bound in enumerate(bounds):
            way.failed(step, "server")
            step = way.next()
            assert 0 < step.wait < bound
            most[place] = max(most[place], step.wait)
        way.failed(step, "server")
        bench.now += 20
    assert all(bound * 0.9 < seen for bound, seen in zip(bounds, most, strict=True))  # the whole range is used


def test_an_upstreams_word_is_kept_and_too_long_a_wait_is_not_waited(bench: Bench) -> None:
    bench.add("chat", D("a"), breaker=NEVER)
    way = bench.start()
    way.failed(way.next(), "rate_limit", retry_after=4.0)
    assert 4.0 <= way.next().wait < 4.25
    bench.now += 5
    way = bench.start()
    way.failed(way.next(), "rate_limit", retry_after=30.0)
    assert way.next() is None
    assert way.retry_after == 30.0
    assert bench.start().next() is None  # it rests for all
    bench.add("chat", D("a"), D("b"), strategy="priority")
    assert bench.first() == "b"
    bench.now += 30
    assert bench.first() == "a"


def test_a_new_call_waits_for_the_only_one_where_that_is_short(bench: Bench) -> None:
    bench.add("chat", D("a"))
    bench.board.of("a").rest_until = bench.now + 2
    assert 2.0 <= bench.start().next().wait < 2.25


@pytest.mark.parametrize("word", [float("nan"), float("inf"), -5.0, 0.0, 1e300])
def test_a_senseless_word_does_no_harm(bench: Bench, word: float) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority")
    way = bench.start()
    way.failed(way.next(), "rate_limit", retry_after=word)
    assert way.next().deployment.id == "b"
    assert bench.board.of("a").seconds(bench.now) <= 3600


def test_fallback_routes_in_circles_are_gone_through_once(bench: Bench) -> None:
    retries = CallRetries(attempts=9)
    bench.add("chat", D("a"), fallback=("second", "third", "absent"), retries=retries, breaker=NEVER)
    bench.add("second", D("b"), fallback=("chat",))
    bench.add("third", D("c"), D("a"), fallback=("second", "third", "fourth"))
    bench.add("fourth", D("d"))
    asked = bench.walk()
    assert asked[:4] == ["a", "b", "c", "d"]
    assert len(asked) == 9


def test_an_outage_is_not_multiplied(bench: Bench) -> None:
    """Twenty thousand calls while nothing works: at most one fifth more attempts than calls."""
    bench.add("chat", D("a"), D("b"), D("c"), retries=CallRetries(attempts=5, budget=0.2), breaker=NEVER)
    chance = random.Random(4)
    calls = attempts = 0
    for _ in range(20_000):
        bench.now += chance.expovariate(200)
        attempts += len(bench.walk())
        calls += 1
    assert calls * 1.15 < attempts <= calls * 1.2 + 10


def test_few_calls_are_repeated_all_the_same_and_none_where_the_budget_is_nothing(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), breaker=NEVER)
    assert len(bench.walk()) == 3
    bench.add("chat", D("a"), D("b"), retries=CallRetries(budget=0), breaker=NEVER)
    way = bench.start()
    way.failed(way.next(), "server")
    assert way.next() is None
    assert way.reason == "budget"


def test_the_budget_does_not_hold_back_what_is_no_outage(bench: Bench) -> None:
    bench.add("chat", D("short"), D("long", priority=1), retries=CallRetries(budget=0))
    assert bench.walk(failure="context_length") == ["short", "long"]


def test_ten_seconds_later_the_budget_is_back(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), retries=CallRetries(attempts=2), breaker=NEVER)
    lengths = [len(bench.walk()) for _ in range(20)]
    assert lengths == [2] * 10 + [1] * 10
    bench.now += 10
    assert len(bench.walk()) == 2


def test_a_call_whose_client_left_is_over(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"))
    way = bench.start()
    way.failed(way.next(), "server")
    way.failed(way.next(), "cancelled")
    assert way.next() is None
    assert bench.board.of("a").in_flight == bench.board.of("b").in_flight == 0


def test_a_stream_that_breaks_off_goes_on_elsewhere(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), strategy="priority")
    way = bench.start()
    step = way.next()
    way.served(step, 0.2)
    way.failed(step, "cut")
    assert way.next().deployment.id == "b"
