"""Which arm a call belongs to."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.routing.feedback.mismatch import check_split
from pilothouse.gateway.routing.splits import edition, splits_of
from pilothouse.gateway.settings import Bandit, TrafficExperiment
from pilothouse.gateway.types import Tenant

from .conftest import Bench, D

USERS = [f"user-{number}" for number in range(8000)]


def arms_of(bench: Bench, experiment: TrafficExperiment, weights: dict[str, float] | None = None) -> dict[str, str]:
    split = splits_of([experiment])[experiment.name]
    found = {user: split.assign(bench.request(user=user), weights) for user in USERS}
    return {user: item.arm if item else "" for user, item in found.items()}


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 5, "b": 3, "c": 2, "none": 0}])
def test_shares_hold(bench: Bench, weights: dict[str, float]) -> None:
    counts = Counter(arms_of(bench, TrafficExperiment(name="e", arms=weights)).values())
    assert check_split(counts, weights).p_value > 0.01


def test_a_unit_keeps_its_arm_in_every_process_whatever_the_order_of_the_file(bench: Bench) -> None:
    first = arms_of(bench, TrafficExperiment(name="e", arms={"a": 1, "b": 2}))
    assert arms_of(bench, TrafficExperiment(name="e", arms={"b": 2, "a": 1})) == first
    assert [first[user] for user in USERS[:12]] == list("bbbbababbbaa")  # not to change from release to release


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=2),
    st.floats(1.01, 50),
    st.data(),
)
@settings(max_examples=25)
def test_raising_an_arm_moves_units_into_it_alone(arms: dict[str, float], factor: float, data: st.DataObject) -> None:
    raised = data.draw(st.sampled_from(sorted(arms)))
    bench = Bench()
    split = splits_of([TrafficExperiment(name="e", arms=arms)])["e"]
    for user in USERS[:200]:
        request = bench.request(user=user)
        before = split.assign(request).arm
        after = split.assign(request, {**arms, raised: arms[raised] * factor}).arm
        assert after in {before, raised}


def test_a_canary_grows_by_units_that_come_and_none_that_leave(bench: Bench) -> None:
    inside: set[str] = set()
    for share in (1, 5, 10, 25, 50, 100):
        arms = {"old": 100 - share, "new": share}
        found = arms_of(bench, TrafficExperiment(name="rollout", arms=arms))
        now = {user for user, arm in found.items() if arm == "new"}
        assert inside <= now
        assert abs(len(now) - len(USERS) * share / 100) < 4 * sqrt(len(USERS) * share / 100) + 1
        inside = now
    assert len(inside) == len(USERS)


def test_traffic_grows_without_a_shuffle(bench: Bench) -> None:
    few, many = (
        arms_of(bench, TrafficExperiment(name="e", arms={"a": 1, "b": 1}, traffic=share)) for share in (0.2, 0.6)
    )
    assert all(many[user] == arm for user, arm in few.items() if arm)
    assert abs(sum(1 for arm in few.values() if arm) / len(USERS) - 0.2) < 0.02
    assert abs(sum(1 for arm in many.values() if arm) / len(USERS) - 0.6) < 0.02


def test_experiments_of_one_namespace_never_share_a_unit(bench: Bench) -> None:
    experiments = [
        TrafficExperiment(name=name, arms={"a": 1, "b": 1}, namespace="ui", traffic=share)
        for name, share in (("one", 0.5), ("two", 0.3), ("three", 0.2))
    ]
    splits = splits_of(experiments)
    takers = [
        [name for name, split in splits.items() if split.assign(bench.request(user=user)) is not None] for user in USERS
    ]
    assert all(len(names) == 1 for names in takers)
    shares = Counter(names[0] for names in takers)
    assert check_split(shares, {"one": 5, "two": 3, "three": 2}).p_value > 0.01


def test_experiments_without_a_namespace_are_independent(bench: Bench) -> None:
    one, two = (arms_of(bench, TrafficExperiment(name=name, arms={"a": 1, "b": 1}, traffic=0.5)) for name in ("x", "y"))
    cells = Counter((one[user], two[user]) for user in USERS)
    wanted = {
        (left, right): p * q for left, p in (("", 2), ("a", 1), ("b", 1)) for right, q in (("", 2), ("a", 1), ("b", 1))
    }
    assert check_split({str(k): n for k, n in cells.items()}, {str(k): n for k, n in wanted.items()}).p_value > 0.01


def test_a_call_without_a_unit_gets_an_arm_by_chance_and_says_so(bench: Bench) -> None:
    bench.add("chat", D("a"), experiment=TrafficExperiment(name="e", arms={"x": 1, "y": 1}))
    ways = [bench.start() for _ in range(60)]
    assert {way.arm for way in ways} == {"x", "y"}
    assert not any(way.sticky for way in ways)
    way = bench.start(user="ada")
    assert way.sticky
    assert {bench.start(user="ada").arm for _ in range(20)} == {way.arm}


@pytest.mark.parametrize("unit", ["user", "session", "key"])
def test_units(bench: Bench, unit: str) -> None:
    bench.add("chat", D("a"), experiment=TrafficExperiment(name="e", unit=unit, arms={"x": 1, "y": 1}))
    shown = {"tenant": Tenant(key="k")} if unit == "key" else {unit: "u"}
    assert bench.start(**shown).sticky
    other = {"user": "u"} if unit != "user" else {"session": "u"}
    assert not bench.start(**other).sticky


def test_an_arm_keeps_to_its_deployments_even_when_they_fail(bench: Bench) -> None:
    experiment = TrafficExperiment(name="e", arms={"old": 1, "new": 1}, deployments={"new": ("b",)}, traffic=0.5)
    bench.add("chat", D("a"), D("b", priority=1), experiment=experiment, fallback=("rescue",))
    bench.add("rescue", D("c"))
    walks: dict[str, set[tuple[str, ...]]] = {}
    for user in USERS[:60]:
        arm = bench.start(user=user).arm
        walks.setdefault(arm, set()).add(tuple(bench.walk(failure="context_length", user=user)))
    assert walks == {"": {("a", "b", "c")}, "old": {("a", "b", "c")}, "new": {("b", "c")}}


def test_a_bandits_weights_hold_for_it_alone_and_follow_at_once(bench: Bench) -> None:
    arms = {"x": 1.0, "y": 1.0}
    bench.add("chat", D("a"), experiment=TrafficExperiment(name="e", arms=arms, bandit=Bandit(metric="good")))
    bench.add("fixed", D("a"), experiment=TrafficExperiment(name="f", arms=arms))
    before = {user: bench.start(user=user).arm for user in USERS[:200]}
    fixed = {user: bench.start("fixed", user=user).arm for user in USERS[:200]}
    bench.router.set_weights({"e": {"x": 0.9, "y": 0.1}, "f": {"x": 1.0, "y": 0.0}})
    after = {user: bench.start(user=user).arm for user in USERS[:200]}
    assert all(after[user] == "x" for user, arm in before.items() if arm == "x")
    assert Counter(after.values())["x"] > 160
    assert {user: bench.start("fixed", user=user).arm for user in USERS[:200]} == fixed


def test_editions() -> None:
    base = TrafficExperiment(name="e", arms={"a": 1, "b": 1}, bandit=Bandit(metric="good"))
    same = TrafficExperiment(name="e", arms={"b": 7, "a": 2}, traffic=0.1, bandit=Bandit(metric="good", floor=0.2))
    others = [
        TrafficExperiment(name="e", arms={"a": 1, "c": 1}, bandit=Bandit(metric="good")),
        TrafficExperiment(name="e", arms={"a": 1, "b": 1}, bandit=Bandit(metric="bad")),
        TrafficExperiment(name="e", arms={"a": 1, "b": 1}, unit="key", bandit=Bandit(metric="good")),
        TrafficExperiment(name="e", arms={"a": 1, "b": 1}, deployments={"a": ("d",)}, bandit=Bandit(metric="good")),
    ]
    assert edition(same) == edition(base)
    assert len({edition(item) for item in (base, *others)}) == 5
