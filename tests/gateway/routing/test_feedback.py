"""Feedback, bandits, and the check of splits."""

from __future__ import annotations

import random
import threading

import pytest
from scipy.integrate import quad
from scipy.stats import beta, chi2, chisquare

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, DataError, NotFound, PilothouseError, StorageError
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.routing.feedback.bandit import Bandit
from pilothouse.gateway.routing.feedback.mismatch import check_split, chi_square_tail
from pilothouse.gateway.routing.feedback.service import FeedbackService
from pilothouse.gateway.routing.feedback.store import FeedbackStore
from pilothouse.gateway.routing.feedback.tuner import BanditTuner
from pilothouse.gateway.routing.feedback.types import ArmFeedback
from pilothouse.gateway.settings import Bandit as BanditSettings
from pilothouse.gateway.settings import TrafficExperiment

EXPERIMENT = TrafficExperiment(
    name="e", arms={"a": 1, "b": 1, "off": 0}, bandit=BanditSettings(metric="good", floor=0.1, warmup=5)
)


@pytest.fixture
def service(database: Database, clock: FixedClock) -> FeedbackService:
    return FeedbackService(FeedbackStore(database), clock)


def test_one_value_a_call(service: FeedbackService) -> None:
    assert service.record(EXPERIMENT, "a", "good", True, "c1").status == "new"
    assert service.record(EXPERIMENT, "a", "good", True, "c1").status == "same"
    assert service.record(EXPERIMENT, "a", "good", 0.25, "c2").status == "new"
    changed = service.record(EXPERIMENT, "a", "good", False, "c1")
    assert (changed.status, changed.previous) == ("changed", 1.0)
    assert service.record(EXPERIMENT, "b", "short", 1, "c1").status == "new"  # another metric
    with pytest.raises(Conflict, match="belongs to the arm 'a'"):
        service.record(EXPERIMENT, "b", "good", True, "c1")
    found = service.state(EXPERIMENT, "good")
    assert set(found) == {"a"}
    assert (found["a"].count, found["a"].total, found["a"].squares, found["a"].mean) == (2, 0.25, 0.0625, 0.125)


def test_what_is_said_beside_it_is_kept(service: FeedbackService) -> None:
    service.record(EXPERIMENT, "a", "good", True, "c1", "well put")
    assert service.record(EXPERIMENT, "a", "good", True, "c1").status == "same"
    assert service.record(None, "", "thumbs", False, "c1", "wrong: \u20ac\nnot $").status == "new"
    assert service.comments("c1") == [("good", 1.0, "well put"), ("thumbs", 0.0, "wrong: \u20ac\nnot $")]
    assert service.record(EXPERIMENT, "a", "good", True, "c1", "put well").status == "same"
    assert service.record(EXPERIMENT, "a", "good", False, "c1").status == "changed"
    assert service.comments("c1")[0] == ("good", 0.0, "put well")
    for comment in ("x" * 2001, "a\0b"):
        with pytest.raises(DataError) as error:
            service.record(EXPERIMENT, "a", "good", True, "c1", comment)
        assert comment not in str(error.value)
    assert set(service.state(EXPERIMENT, "good")) == {"a"}


def test_another_edition_counts_anew(service: FeedbackService) -> None:
    service.record(EXPERIMENT, "a", "good", True, "c1")
    changed = TrafficExperiment(name="e", arms={"a": 1, "c": 1}, bandit=EXPERIMENT.bandit)
    assert service.state(changed, "good") == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_what_is_no_feedback(service: FeedbackService, value: float) -> None:
    with pytest.raises(DataError, match="not a feedback"):
        service.record(EXPERIMENT, "a", "good", value, "c1")
    with pytest.raises(NotFound, match="no arm 'A'"):
        service.record(EXPERIMENT, "A", "good", 1, "c1")
    for metric, call in (("", "c"), ("good", ""), ("good", "x" * 201), ("go\nod", "c"), ("good", "c\0")):
        with pytest.raises(DataError):
            service.record(EXPERIMENT, "a", metric, 1, call)
    assert service.state(EXPERIMENT, "good") == {}


def test_many_at_once_count_once(service: FeedbackService) -> None:
    threads = [
        threading.Thread(target=service.record, args=(EXPERIMENT, "a", "good", True, f"c{number % 5}"))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.state(EXPERIMENT, "good")["a"] == ArmFeedback(count=5, total=5.0, squares=5.0, successes=5)


def test_a_score_between_counts_as_that_share_of_successes(service: FeedbackService) -> None:
    for number in range(120):
        service.record(EXPERIMENT, "a", "good", 0.3, f"c{number}")
    found = service.state(EXPERIMENT, "good")["a"]
    assert found.total == pytest.approx(36)
    assert 24 <= found.successes <= 48


def test_weights_follow_the_feedback(service: FeedbackService) -> None:
    assert service.weights([EXPERIMENT]) == {"e": {"a": 0.5, "b": 0.5}}
    for number in range(20):
        service.record(EXPERIMENT, "a", "good", number % 10 == 0, f"a{number}")
        service.record(EXPERIMENT, "b", "good", number % 10 != 0, f"b{number}")
    taken: list[dict] = []
    told: list[PilothouseError] = []
    BanditTuner(service, lambda: [EXPERIMENT], taken.append, told.append).tune()
    assert taken[0]["e"] == {"a": pytest.approx(0.1), "b": pytest.approx(0.9)}
    assert service.weights([EXPERIMENT]) == taken[0]
    plain = TrafficExperiment(name="p", arms={"a": 1})
    assert service.weights([plain]) == {}


def test_a_tuner_outlives_a_database_that_is_gone() -> None:
    told: list[PilothouseError] = []
    said = threading.Event()

    class Gone:
        def weights(self, _: object) -> dict:
            raise StorageError("the database is gone")

    tuner = BanditTuner(Gone(), list, lambda _: None, lambda error: (told.append(error), said.set()), seconds=0.01)
    tuner.start()
    assert said.wait(20)
    said.clear()
    assert said.wait(20)
    tuner.close()
    assert {str(error) for error in told} == {"the database is gone"}


def counted(successes: int, count: int) -> ArmFeedback:
    return ArmFeedback(count=count, total=float(successes), squares=float(successes), successes=successes)


def test_warmup_floor_and_repetition() -> None:
    bandit = Bandit(["a", "b", "c"], floor=0.1, warmup=30, seed="s")
    even = dict.fromkeys("abc", 1 / 3)
    assert bandit.weights({}) == even
    assert bandit.weights({"a": counted(90, 100), "b": counted(1, 100), "c": counted(0, 29)}) == even
    state = {"a": counted(90, 100), "b": counted(1, 100), "c": counted(50, 100)}
    found = bandit.weights(state)
    assert found == bandit.weights(dict(reversed(state.items())))
    assert found["a"] == pytest.approx(0.8, abs=0.01)
    assert min(found.values()) >= 0.1 - 1e-12
    assert sum(found.values()) == pytest.approx(1)
    alike = bandit.weights(dict.fromkeys("abc", counted(30, 60)))
    assert all(share == pytest.approx(1 / 3, abs=0.03) for share in alike.values())


def test_shares_are_probabilities_to_be_best() -> None:
    found = Bandit(["a", "b"], floor=0, warmup=0).weights({"a": counted(8, 10), "b": counted(4, 10)})
    exact = quad(lambda x: beta.pdf(x, 9, 3) * beta.cdf(x, 5, 7), 0, 1)[0]
    assert found["a"] == pytest.approx(exact, abs=0.02)


def test_less_regret_than_an_even_split_and_the_floor_is_kept() -> None:
    chances = {"a": 0.45, "b": 0.6, "c": 0.3}
    bandit = Bandit(list(chances), floor=0.05, warmup=20, seed="sim")
    chance = random.Random(11)
    state = {arm: counted(0, 0) for arm in chances}
    lost = 0.0
    calls = 6000
    weights = bandit.weights(state)
    for number in range(calls):
        if number % 100 == 0:
            weights = bandit.weights(state)
            assert min(weights.values()) >= 0.05 - 1e-12
        arm = chance.choices(list(weights), list(weights.values()))[0]
        good = chance.random() < chances[arm]
        state[arm] = counted(state[arm].successes + good, state[arm].count + 1)
        lost += 0.6 - chances[arm]
    even = calls * (0.6 - sum(chances.values()) / 3)
    floor = calls * 0.05 * (0.15 + 0.3)
    assert lost < even / 3
    assert lost > floor * 0.7  # the floor has its price
    assert max(weights, key=weights.__getitem__) == "b"


@pytest.mark.parametrize(("arms", "floor"), [([], 0.1), (["a", "b"], 0.6), (["a"], -0.1)])
def test_floors_that_cannot_be(arms: list[str], floor: float) -> None:
    with pytest.raises(DataError):
        Bandit(arms, floor=floor)


@pytest.mark.parametrize("degrees", range(1, 12))
@pytest.mark.parametrize("statistic", [0.0, 1e-9, 0.5, 3.84, 10.0, 60.0, 700.0])
def test_the_tail_of_chi_square(statistic: float, degrees: int) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(
        float(chi2.sf(statistic, degrees)), rel=1e-9, abs=1e-300
    )


def test_a_split_that_is_off_is_told() -> None:
    right = check_split({"a": 5030, "b": 4970}, {"a": 1, "b": 1})
    assert not right.mismatch
    reference = chisquare([5030, 4970])
    assert (right.statistic, right.p_value) == (pytest.approx(reference.statistic), pytest.approx(reference.pvalue))
    assert check_split({"a": 5200, "b": 4800}, {"a": 1, "b": 1}).mismatch
    assert not check_split({"a": 9010, "b": 990, "off": 0}, {"a": 9, "b": 1, "off": 0}).mismatch
    assert check_split({}, {"a": 1, "b": 1}).p_value == 1.0
    assert check_split({"a": 40}, {"a": 1, "b": 1}).mismatch


@pytest.mark.parametrize(
    ("observed", "weights"),
    [({"a": 1}, {"a": 1}), ({"a": -1, "b": 1}, {"a": 1, "b": 1}), ({"a": 1, "c": 1}, {"a": 1, "b": 1, "c": 0})],
)
def test_counts_that_cannot_be_compared(observed: dict, weights: dict) -> None:
    with pytest.raises(DataError):
        check_split(observed, weights)
