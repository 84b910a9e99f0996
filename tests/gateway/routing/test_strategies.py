"""Who is asked among equals."""

from __future__ import annotations

from collections import Counter

import pytest
from scipy.stats import chisquare

from pilothouse.gateway.settings import Condition
from pilothouse.gateway.types import Tenant

from .conftest import Bench, D, Vendor


def test_weights_hold_and_a_decision_can_be_repeated(bench: Bench) -> None:
    bench.add("chat", D("a", weight=6), D("b", weight=3), D("c", weight=1), D("out", weight=0))
    asked = Counter(bench.first(call_id=f"call-{number}") for number in range(6000))
    assert set(asked) == {"a", "b", "c"}
    assert chisquare([asked[name] for name in "abc"], [3600, 1800, 600]).pvalue > 0.01
    again = Counter(bench.first(call_id=f"call-{number}") for number in range(6000))
    assert again == asked


def test_lower_priorities_come_first_and_others_when_they_fail(bench: Bench) -> None:
    bench.add("chat", D("spare", priority=1), D("main"), D("last", priority=7), strategy="priority")
    assert bench.walk() == ["main", "spare", "last"]


def test_the_order_of_the_file_where_it_is_asked_for(bench: Bench) -> None:
    bench.add("chat", D("b"), D("a"), D("c"), strategy="priority")
    assert bench.walk() == ["b", "a", "c"]


def test_the_least_busy_for_its_weight(bench: Bench) -> None:
    bench.add("chat", D("big", weight=3), D("small"), strategy="least_busy")
    running = [bench.start() for _ in range(40)]
    asked = Counter(way.next().deployment.id for way in running)
    assert asked == {"big": 30, "small": 10}


def test_latency_leaves_a_slow_one_and_comes_back_to_it(bench: Bench) -> None:
    bench.add("chat", D("slow"), D("quick"), D("brisk"), strategy="latency")
    times = {"slow": 4.0, "quick": 0.2, "brisk": 0.25}

    def calls(number: int) -> Counter[str]:
        asked: Counter[str] = Counter()
        for _ in range(number):
            way = bench.start()
            step = way.next()
            asked[step.deployment.id] += 1
            way.served(step, times[step.deployment.id])
            way.ended(step)
            bench.now += 0.01
        return asked

    assert calls(500)["slow"] <= 2  # drawn once while unknown, a second time at most before it was measured
    times["slow"] = 0.1
    bench.now += 60  # what is old counts no more
    assert calls(500)["slow"] > 150


def test_a_timeout_counts_as_slow(bench: Bench) -> None:
    bench.add("chat", D("hangs"), D("works"), strategy="latency")
    for _ in range(20):
        way = bench.start()
        while (step := way.next()) is not None:
            if step.deployment.id == "works":
                way.served(step, 0.5)
                way.ended(step)
                break
            bench.now += 3
            way.failed(step, "timeout")
    assert bench.board.of("hangs").failures <= 2


def test_the_cheapest_and_unknown_prices_last() -> None:
    prices = {"dear": 900, "cheap": 100, "alike": 100, "unknown": None}
    bench = Bench(price=lambda deployment: prices[deployment.id])
    bench.add("chat", *(D(name) for name in prices), strategy="cheapest")
    assert {bench.first() for _ in range(60)} == {"cheap", "alike"}
    way = bench.walk()
    assert way[2] == "dear"
    bench.add("free", D("unknown"), D("unknown2"), strategy="cheapest")
    prices["unknown2"] = None
    assert bench.first("free").startswith("unknown")


@pytest.mark.parametrize("by", ["user", "session", "key"])
def test_affinity_moves_little_when_one_fails_and_returns(bench: Bench, by: str) -> None:
    bench.add("chat", D("a"), D("b"), D("c"), D("d", weight=3), affinity=by)

    def places() -> dict[int, str]:
        return {
            number: bench.first(**({"tenant": Tenant(key=f"k{number}")} if by == "key" else {by: f"u{number}"}))
            for number in range(600)
        }

    before = places()
    shares = Counter(before.values())
    assert chisquare([shares[name] for name in "abcd"], [100, 100, 100, 300]).pvalue > 0.01
    health = bench.board.of("b")
    health.rest_until = bench.now + 30
    during = places()
    assert {number for number in before if before[number] != during[number]} == {
        number for number in before if before[number] == "b"
    }
    assert set(during.values()) == {"a", "c", "d"}
    bench.now += 31
    assert places() == before


def test_affinity_without_a_unit_is_no_affinity(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), affinity="user")
    assert {bench.first() for _ in range(30)} == {"a", "b"}


def test_equal_users_of_two_organisations_are_two(bench: Bench) -> None:
    bench.add("chat", *(D(f"d{number}") for number in range(50)), affinity="user")
    places = {bench.first(user="ada", tenant=Tenant(organisation=name)) for name in ("north", "south", "east")}
    assert len(places) > 1


@pytest.mark.parametrize(
    ("when", "fits", "fails"),
    [
        (Condition(headers={"X-Tier": "gold"}), {"headers": {"x-tier": "gold"}}, {"headers": {"x-tier": "tin"}}),
        (Condition(headers={"x-tier": "*"}), {"headers": {"x-tier": "any"}}, {}),
        (Condition(metadata={"app": "bot"}), {"metadata": {"app": "bot"}}, {"metadata": {"App": "bot"}}),
        (Condition(tenant={"team": "red"}), {"tenant": Tenant(team="red")}, {"tenant": Tenant(team="blue")}),
        (Condition(stream=True), {"stream": True}, {"stream": False}),
        (Condition(tools=False), {"tools": False}, {"tools": True}),
        (Condition(most_bytes=10), {"size": 10}, {"size": 11}),
    ],
)
def test_conditions(bench: Bench, when: Condition, fits: dict, fails: dict) -> None:
    bench.add("chat", D("special", when=when), D("plain", priority=1))
    assert bench.first(**fits) == "special"
    assert bench.first(**fails) == "plain"


def test_a_full_deployment_hands_on_and_so_does_one_without_slots(bench: Bench) -> None:
    bench.add("chat", D("a", concurrency=2), D("b", priority=1, concurrency=1))
    ways = [bench.start() for _ in range(4)]
    steps = [way.next() for way in ways]
    assert [step and step.deployment.id for step in steps] == ["a", "a", "b", None]
    assert ways[3].reason == "unavailable"
    ways[0].failed(steps[0], "cancelled")
    assert bench.first() == "a"
    bench.add("local", D("model"), vendor=Vendor(slots=1))
    assert [bench.start("local").next().deployment.id for _ in range(3)] == ["model"] * 3  # it has a queue of its own


def test_who_has_free_slots_goes_before_who_has_a_queue(bench: Bench) -> None:
    bench.add("chat", D("model"), D("cloud", priority=1), vendor=Vendor(slots=1))
    first, second = bench.start(), bench.start()
    assert (first.next().deployment.id, second.next().deployment.id) == ("model", "cloud")


def test_only_who_can_serve_the_form_is_asked(bench: Bench) -> None:
    bench.add("chat", D("talks"), D("reads", wires=("cohere.rerank",)))
    assert bench.first(wire="cohere.rerank") == "reads"
    way = bench.start(wire="openai.images")
    assert way.next() is None
    assert way.reason == "unserved"


def test_a_call_that_no_condition_fits_is_not_told_to_come_again(bench: Bench) -> None:
    bench.add("chat", D("gold", when=Condition(headers={"tier": "gold"})))
    way = bench.start()
    assert way.next() is None
    assert (way.reason, way.retry_after) == ("unserved", None)
