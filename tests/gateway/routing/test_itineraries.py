"""Whatever happens on the way: hedges, copies, explanations, and any order of events."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.settings import BreakerSettings, CallRetries, Condition, Hedge, Shadow, TrafficExperiment
from pilothouse.gateway.types import Failure

from .conftest import Bench, D


def test_a_hedge_goes_to_another_and_only_once(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), D("c"), strategy="priority", hedge=Hedge(after=0.5, share=1.0))
    way = bench.start()
    step = way.next()
    assert step.hedge_after == 0.5
    beside = way.hedge()
    assert (beside.deployment.id, beside.hedge_after) == ("b", None)
    assert way.hedge() is None
    way.served(beside, 0.1)
    way.failed(step, "cancelled")
    way.failed(beside, "cut")
    assert way.next().deployment.id == "c"  # the loser's end did not end the call


def test_no_hedge_where_none_is_wanted_or_nobody_is_left(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"))
    way = bench.start()
    assert way.next().hedge_after is None
    assert way.hedge() is None
    bench.add("chat", D("a"), hedge=Hedge(after=1), fallback=("other",))
    bench.add("other", D("b"))
    way = bench.start()
    assert way.hedge() is None  # nothing runs yet
    way.next()
    assert way.hedge() is None
    bench.add("chat", D("a"), D("b"), hedge=Hedge(after=1), retries=CallRetries(attempts=1))
    way = bench.start()
    way.next()
    assert way.hedge() is None


def test_a_call_that_is_dropped_gives_back_what_it_held(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), hedge=Hedge(after=1, share=1.0), retries=CallRetries(attempts=9))
    way = bench.start()
    step = way.next()
    assert way.hedge() is not None
    way.close()
    assert bench.board.of("a").in_flight == bench.board.of("b").in_flight == 0
    way.failed(step, "server")
    assert way.next() is None
    health = bench.board.of("a")
    health.is_open = True
    bench.board.of("b").rest_until = bench.now + 99
    way = bench.start()
    assert way.next().deployment.id == "a"
    assert health.trial
    del way
    assert (health.in_flight, health.trial) == (0, False)


def test_the_share_of_hedges_is_kept(bench: Bench) -> None:
    bench.add("chat", D("a"), D("b"), hedge=Hedge(after=1, share=0.1))
    hedged = 0
    for _ in range(2000):
        bench.now += 0.005
        way = bench.start()
        step = way.next()
        beside = way.hedge()
        hedged += beside is not None
        way.failed(step, "cancelled")
        if beside:
            way.ended(beside)
    assert 150 <= hedged <= 200


def test_copies_by_share_within_their_concurrency_and_never_more(bench: Bench) -> None:
    route = bench.add("chat", D("a"), D("dark", weight=0), shadow=Shadow(deployment="dark", share=0.25, concurrency=3))
    begun = [bench.router.shadow(route, bench.request()) for _ in range(400)]
    assert [item.id for item in begun if item] == ["dark"] * 3
    assert 60 < bench.router.shadows_dropped < 140
    bench.router.shadow_ended(route)
    while bench.router.shadow(route, bench.request()) is None:
        pass
    assert bench.first() == "a"
    assert bench.board.of("dark").in_flight == 0
    for _ in range(9):
        bench.router.shadow_ended(route)  # one too many does no harm
    assert bench.router.shadow(bench.add("plain", D("a")), bench.request()) is None


def test_an_explanation_says_what_would_be_done_and_changes_nothing(bench: Bench) -> None:
    bench.add(
        "chat",
        D("first"),
        D("off", weight=0),
        D("gold", when=Condition(headers={"tier": "gold"})),
        D("full", concurrency=1),
        D("open", priority=1),
        D("resting"),
        D("mute", wires=()),
        strategy="priority",
        hedge=Hedge(after=2),
        shadow=Shadow(deployment="off", share=1.0),
        experiment=TrafficExperiment(name="e", arms={"x": 1}),
        fallback=("rescue",),
    )
    bench.add("rescue", D("last"), D("first"))
    bench.board.of("full").in_flight = 1
    health = bench.board.of("open")
    health.is_open, health.open_until = True, bench.now + 4
    bench.board.of("resting").rest_until = bench.now + 9
    before = bench.router.states()
    told = bench.explain(user="ada")
    assert [(item.route, item.deployment) for item in told.choices] == [
        ("chat", "first"),
        ("chat", "mute"),
        ("rescue", "last"),
    ]
    why = {(item.route, item.deployment): (item.reason, item.seconds) for item in told.exclusions}
    assert why == {
        ("chat", "off"): ("its weight is 0", 0.0),
        ("chat", "gold"): ("header tier is not 'gold'", 0.0),
        ("chat", "full"): ("as many calls are in flight as it may have", 0.0),
        ("chat", "open"): ("its breaker is open", 4.0),
        ("chat", "resting"): ("it asked to be left alone", 9.0),
        ("rescue", "first"): ("it stands in an earlier route, too", 0.0),
    }
    assert (told.experiment, told.arm, told.unit) == ("e", "x", "user:ada")
    assert (told.hedge_after, told.shadow, told.attempts) == (2.0, "off", 3)
    assert set(before) <= set(bench.router.states())
    assert bench.board.window("chat").calls == 0


def test_the_explanation_is_what_then_happens(bench: Bench) -> None:
    bench.add("chat", *(D(f"d{number}", priority=number // 3) for number in range(9)), retries=CallRetries(attempts=9))
    for number in range(30):
        told = bench.explain(call_id=f"c{number}")
        assert bench.walk(failure="context_length", call_id=f"c{number}") == [item.deployment for item in told.choices]


def test_explanations_of_last_resorts(bench: Bench) -> None:
    bench.add("chat", D("a"))
    health = bench.board.of("a")
    health.is_open, health.open_until = True, bench.now + 4
    assert [item.note for item in bench.explain().choices] == ["before its time"]
    bench.now += 5
    assert [item.note for item in bench.explain().choices] == ["trial"]
    health.is_open = False
    health.rest_until = bench.now + 3
    assert [(item.note, item.wait) for item in bench.explain().choices] == [("resting", 3.0)]
    health.rest_until = bench.now + 300
    assert bench.explain().choices == ()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("served", "ended", "next", "hedge", "wait", *get_args(Failure))),
        st.integers(0, 3),
        st.sampled_from((None, 0.5, 60.0)),
        st.booleans(),
    ),
    max_size=25,
)


@given(
    calls=st.lists(EVENTS, min_size=1, max_size=6),
    attempts=st.integers(1, 6),
    hedge=st.booleans(),
    concurrency=st.sampled_from((None, 1, 3)),
    failures=st.integers(1, 4),
    strategy=st.sampled_from(("weighted", "priority", "least_busy", "latency", "cheapest")),
)
@settings(max_examples=150)
def test_any_order_of_events(calls, attempts, hedge, concurrency, failures, strategy) -> None:
    """No more attempts than allowed, no call in flight twice or never ended, no endless way."""
    bench = Bench()
    retries = CallRetries(attempts=attempts, budget=1.0)
    breaker = BreakerSettings(failures=failures, cooldown=1.0)
    bench.add(
        "chat",
        D("a", concurrency=concurrency),
        D("b", priority=1),
        strategy=strategy,
        retries=retries,
        breaker=breaker,
        hedge=Hedge(after=1, share=1.0) if hedge else None,
        fallback=("more", "chat"),
    )
    bench.add("more", D("c"), D("a"), breaker=breaker, fallback=("chat",))
    for events in calls:
        way = bench.start()  # the one before is gone, and holds nothing
        begun, running = [], []
        for event, place, retry_after, retryable in (("next", 0, None, True), *events):
            step = running[place % len(running)] if running else None
            if event in {"next", "hedge"}:
                found = way.next() if event == "next" else way.hedge()
                if found is not None:
                    begun.append(found)
                    running.append(found)
            elif event == "wait":
                bench.now += 0.7
            elif step is not None and event == "served":
                way.served(step, 0.3)
            elif step is not None:
                running.remove(step)
                if event == "ended":
                    way.ended(step)
                else:
                    way.failed(step, event, retry_after=retry_after, retryable=retryable)
            in_flight = sum(bench.board.of(name).in_flight for name in "abc")
            assert in_flight == len(running)
            assert concurrency is None or bench.board.of("a").in_flight <= concurrency
        for step in running:
            way.ended(step)
        assert len(begun) == way.attempts <= attempts
    assert all(bench.board.of(name).in_flight == 0 and not bench.board.of(name).trial for name in "abc")


@given(st.lists(st.sampled_from(get_args(Failure)), max_size=12), st.integers(1, 12))
@settings(max_examples=100)
def test_what_failed_for_good_is_never_asked_again(failures: list[Failure], attempts: int) -> None:
    bench = Bench()
    bench.add("chat", D("a"), D("b"), D("c"), retries=CallRetries(attempts=attempts), fallback_on=get_args(Failure))
    way = bench.start()
    lost: set[str] = set()
    for failure in failures:
        step = way.next()
        if step is None:
            break
        assert step.deployment.id not in lost
        way.failed(step, failure)
        if failure in {"context_length", "content_filter", "auth", "request"}:
            lost.add(step.deployment.id)
        if failure == "cancelled":
            assert way.next() is None
            break
