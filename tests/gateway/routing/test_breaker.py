"""When a deployment is left alone, and how it comes back."""

from __future__ import annotations

import pytest

from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.settings import BreakerSettings, CallRetries

from .conftest import Bench, D

ONCE = CallRetries(attempts=1)
BREAKER = BreakerSettings(failures=3, cooldown=5, longest=30)


def fail(bench: Bench, times: int = 1, failure: str = "server") -> None:
    for _ in range(times):
        way = bench.start()
        way.failed(way.next(), failure)


def test_it_opens_after_failures_in_a_row_and_one_good_answer_starts_again(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 2)
    assert bench.first() == "a"
    fail(bench, 2)
    assert bench.first() == "a"
    fail(bench, 3)
    assert bench.first() == "b"
    assert bench.router.states()[0].state == "open"


def test_exactly_one_trial_under_concurrency(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.now += 5
    ways = [bench.start() for _ in range(50)]
    steps = [way.next() for way in ways]
    assert [step.deployment.id for step in steps] == ["a"] + ["b"] * 49
    ways[0].served(steps[0], 0.1)
    assert bench.first() == "a"  # closed as soon as its answer began, long before it ends


def test_the_cooldown_doubles_up_to_its_bound_and_a_good_end_forgets_it(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    for cooldown in (5, 10, 20, 30, 30):
        assert bench.board.of("a").seconds(bench.now) == pytest.approx(cooldown)
        bench.now += cooldown - 0.01
        assert bench.first() == "b"
        bench.now += 0.02
        fail(bench)
    bench.now += 31
    assert bench.first() == "a"
    fail(bench, 3)
    assert bench.board.of("a").seconds(bench.now) == 5


def test_on_probation_one_failure_opens_it_again(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.now += 5
    way = bench.start()
    step = way.next()
    way.served(step, 0.1)
    way.failed(step, "cut")  # it begins every answer and finishes none
    assert bench.board.of("a").seconds(bench.now) == 10


def test_a_trial_that_ends_without_a_verdict_leaves_its_place_to_the_next(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.now += 5
    way = bench.start()
    way.failed(way.next(), "cancelled")
    assert bench.start().next().deployment.id == "a"


def test_a_refused_request_shows_it_alive(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.now += 5
    fail(bench, failure="request")
    assert bench.router.states()[0].state == "closed"


@pytest.mark.parametrize("failure", ["request", "content_filter", "context_length", "cancelled"])
def test_what_is_not_its_fault_never_opens_it(bench: Bench, failure: str) -> None:
    bench.add("chat", D("a"), retries=ONCE, breaker=BREAKER)
    fail(bench, 20, failure)
    assert bench.first() == "a"


def test_a_refused_key_opens_it_at_once(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 1, "auth")
    assert bench.first() == "b"


def test_when_all_are_open_one_call_a_second_tries_the_one_that_is_first_to_close(bench: Bench) -> None:
    bench.add("chat", D("late"), D("soon"), retries=ONCE, strategy="priority", breaker=BREAKER)
    for name, until in (("late", 50.0), ("soon", 20.0)):
        health = bench.board.of(name)
        health.is_open, health.open_until = True, bench.now + until
    ways = [bench.start() for _ in range(10)]
    steps = [way.next() for way in ways]
    assert [step and step.deployment.id for step in steps] == ["soon", "late"] + [None] * 8
    assert ways[9].reason == "unavailable"
    assert ways[9].retry_after == 20
    ways[0].failed(steps[0], "server")
    ways[1].failed(steps[1], "server")
    assert bench.board.of("soon").seconds(bench.now) == 20  # a try before its time does not lengthen it
    assert bench.start().next() is None
    bench.now += 1
    way = bench.start()
    step = way.next()
    way.served(step, 0.1)
    way.ended(step)
    assert bench.first() == "soon"


def test_a_refused_key_is_not_tried_before_its_time(bench: Bench) -> None:
    bench.add("chat", D("a"), retries=ONCE, breaker=BREAKER)
    fail(bench, 1, "auth")
    bench.now += 3
    assert bench.start().next() is None


def test_health_outlives_a_configuration(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.add("chat", D("a", weight=5), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    assert bench.first() == "b"


def test_idle_names_are_forgotten_and_busy_ones_kept() -> None:
    board = HealthBoard(most=100)
    for number in range(10):
        board.of(f"busy-{number}").begin(0.0)
    for number in range(10_000):
        board.of(f"client-made-{number}").used_at = float(number)
        board.window(f"route-{number}")
        assert len(board) <= 100
    assert all(board.of(f"busy-{number}").in_flight == 1 for number in range(10))


def test_ending_twice_counts_once(bench: Bench) -> None:
    bench.add("chat", D("a"))
    way = bench.start()
    step = way.next()
    way.ended(step)
    way.ended(step)
    way.failed(step, "server")
    way.served(step, 0.1)
    assert bench.board.of("a").in_flight == 0
    assert bench.board.of("a").failures == 0


def test_a_trial_that_was_lost_does_not_keep_it_out_for_ever(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b", priority=1), retries=ONCE, breaker=BREAKER)
    fail(bench, 3)
    bench.now += 5
    assert bench.start().next().deployment.id == "a"
    bench.now += 899
    assert bench.start().next().deployment.id == "b"
    bench.now += 2
    assert bench.start().next().deployment.id == "a"
