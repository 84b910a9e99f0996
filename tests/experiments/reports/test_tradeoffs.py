"""Who stands on the frontier of quality and price, and who only seems beaten."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pilothouse.evaluation.types import Estimate, Interval, Metric
from pilothouse.experiments.comparison import Arm, ExperimentComparison, Latency
from pilothouse.experiments.reports.tradeoffs import Tradeoff, tradeoffs
from pilothouse.experiments.types import Variant
from pilothouse.models.types import Usage

HIGHER = Metric(name="accuracy", kind="rate")
LOWER = Metric(name="wer", kind="mean", better="lower")


def arm(
    name: str,
    value: float | None,
    seconds: float | None,
    *,
    cost: str | None = None,
    half: float = 0.05,
    unpriced: int = 0,
    metric: str = "accuracy",
) -> Arm:
    interval = None if value is None else Interval(low=value - half, high=value + half, level=0.95, method="wilson")
    return Arm(
        variant=Variant(name=name),
        run=name,
        rows=200,
        failed=0,
        estimates={metric: Estimate(name=metric, value=value, interval=interval, n=200)},
        latency=Latency(p50=seconds),
        usage=Usage(input_tokens=2000, output_tokens=200),
        cost=None if cost is None else Decimal(cost),
        unpriced=unpriced,
    )


def found(*arms: Arm, metric: Metric = HIGHER) -> dict[str, Tradeoff]:
    comparison = ExperimentComparison(
        name="e",
        ref="e:1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        baseline=arms[0].name,
        primary=metric.name,
        metrics=(metric,),
        arms=arms,
        outcome="single",
        verdict="",
        rows=200,
    )
    return {item.price: item for item in tradeoffs(comparison)}


def standings(item: Tradeoff) -> dict[str, tuple[str, str | None]]:
    return {point.name: (point.standing, point.by) for point in item.points}


def test_what_is_better_and_quicker_beats_where_the_intervals_lie_apart() -> None:
    item = found(arm("good", 0.9, 1.0), arm("bad", 0.7, 2.0), arm("near", 0.86, 2.0), arm("best", 0.95, 3.0))["latency"]

    assert standings(item) == {
        "good": ("frontier", None),
        "bad": ("dominated", "good"),
        "near": ("undecided", "good"),
        "best": ("frontier", None),
    }


def test_where_less_is_better() -> None:
    arms = [arm("low", 0.1, 1.0, metric="wer"), arm("high", 0.4, 1.5, metric="wer")]

    assert standings(found(*arms, metric=LOWER)["latency"])["high"] == ("dominated", "low")


def test_equal_twins_both_stand() -> None:
    item = found(arm("one", 0.9, 1.0), arm("two", 0.9, 1.0))["latency"]

    assert {point.standing for point in item.points} == {"frontier"}


def test_without_an_interval_nothing_is_sure() -> None:
    bare = Arm(
        variant=Variant(name="bare"),
        run="bare",
        rows=200,
        failed=0,
        estimates={"accuracy": Estimate(name="accuracy", value=0.2, n=200)},
        latency=Latency(p50=9.0),
    )

    assert standings(found(arm("good", 0.9, 1.0), bare)["latency"])["bare"] == ("undecided", "good")


def test_cost_is_of_a_thousand_rows_and_a_part_that_is_unknown_leaves_an_arm_out() -> None:
    arms = [arm("a", 0.9, 1.0, cost="0.5"), arm("b", 0.8, 1.0, cost="0.1"), arm("c", 0.7, 1.0, cost="0.1", unpriced=3)]
    item = found(*arms)["cost"]

    assert [(point.name, point.price) for point in item.points] == [("a", pytest.approx(2.5)), ("b", 0.5)]
    assert item.left_out == ("c",)


def test_without_prices_tokens_stand_in() -> None:
    item = found(arm("a", 0.9, None), arm("b", 0.8, None))

    assert list(item) == ["tokens"]
    assert item["tokens"].points[0].price == pytest.approx(11.0)


def test_one_arm_has_nothing_to_be_held_against() -> None:
    assert found(arm("a", 0.9, 1.0)) == {}
    assert found(arm("a", 0.9, 1.0), arm("b", None, 1.0)) == {}
