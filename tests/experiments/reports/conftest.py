"""A comparison made by hand, with everything in it that a report can show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec import structs

from pilothouse.evaluation.types import ClassificationReport, Comparison, Estimate, Interval, Metric
from pilothouse.experiments.comparison import (
    Answer,
    Arm,
    Calls,
    Confusion,
    ExperimentComparison,
    Latency,
    PromptDiff,
    RowView,
)
from pilothouse.experiments.types import Variant
from pilothouse.models.types import Usage

ACCURACY = Metric(name="accuracy", evaluator="label", score="label", kind="rate", bounds=(0.0, 1.0))
MACRO_F1 = Metric(name="macro_f1", evaluator="label", score="label", kind="labels", bounds=(0.0, 1.0))
SPEED = Metric(name="latency_p50", evaluator="latency", score="latency", kind="quantile", better="lower", unit="s")

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></script><img src=x onerror=alert(2)>",
    "\"'><svg onload=alert(3)>",
    "invoice\u202egnp.exe",
    "hidden\u200b\U000e0041 text",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(4)",
    "nul\x00 and bell\x07",
    "lone \ud800 surrogate",
    '=HYPERLINK("x")',
    "مرحبا <b>",
)


def estimate(metric: Metric, value: float, n: int, half: float = 0.1) -> Estimate:
    low, high = max(0.0, value - half), value + half if metric.unit else min(1.0, value + half)
    return Estimate(
        name=metric.name, value=value, interval=Interval(low=low, high=high, level=0.95, method="wilson"), n=n
    )


def arm(name: str, value: float, n: int) -> Arm:
    return Arm(
        variant=Variant(name=name, choices={"classify": name}),
        run=f"sms-1-{name}",
        rows=n,
        failed=1 if name == "zero" else 0,
        estimates={metric.name: estimate(metric, value, n) for metric in (ACCURACY, MACRO_F1, SPEED)},
        latency=Latency(p50=0.4, p95=0.9, n=n, cached=3, curve=(0.1, 0.3, 0.4, 0.6, 0.9)),
        usage=Usage(input_tokens=70 * n, output_tokens=3 * n),
        cost=Decimal("0.00123") if name == "zero" else None,
        unpriced=0 if name == "zero" else n,
        calls=Calls(total=n, cached=3),
        confusions=(
            Confusion(
                evaluator="label",
                report=ClassificationReport(
                    labels=("ham", "spam"),
                    matrix=((30, 5, 1), (4, 60, 0)),
                    classes=(),
                    n=n,
                    accuracy=value,
                    averages={},
                ),
            ),
        ),
        aggregates={"logged": value},
    )


def compare(metric: Metric, value: float, verdict: str, n: int) -> Comparison:
    interval = Interval(low=value - 0.1, high=value + 0.1, level=0.95, method="tango")
    return Comparison(
        metric=metric.name, baseline="zero", candidate="few",
        difference=Estimate(name=metric.name, value=value, interval=interval, n=n),
        test="McNemar, exact", p_value=0.0004, p_adjusted=0.0008, correction="none", n_pairs=n, discordant=(3, 15),
        mde=0.12, verdict=verdict,  # type: ignore[arg-type]
    )  # fmt: skip


def row(number: int, text: str = "hello", *, right: bool = True, failed: bool = False) -> RowView:
    answers = (
        Answer(error=f"ModelError: {text}", error_node="classify")
        if failed
        else Answer(outputs={"label": "ham", "said": text}, primary=float(right), right=right, label="ham" if right else "spam", scores={"label": right}, duration=0.5),
        Answer(outputs={"label": "ham", "said": text}, primary=1.0, right=True, label="ham", scores={"label": True}, duration=0.95, cached=True),
    )  # fmt: skip
    return RowView(id=f"r{number}", number=number, inputs={"text": text}, truth="ham", answers=answers)


@pytest.fixture
def rows() -> list[RowView]:
    telling = [row(index, text, right=index % 2 == 0) for index, text in enumerate(HOSTILE)]
    return [*telling, row(len(HOSTILE), HOSTILE[0], failed=True), *(row(index) for index in range(12, 100))]


MakeComparison = Callable[..., ExperimentComparison]


@pytest.fixture
def found(rows: list[RowView]) -> ExperimentComparison:
    n = len(rows)
    return ExperimentComparison(
        name="sms",
        ref="sms:1",
        description=HOSTILE[0],
        created_at=datetime(2026, 11, 21, 13, 30, tzinfo=UTC),
        baseline="zero",
        primary="accuracy",
        metrics=(ACCURACY, MACRO_F1, SPEED),
        arms=(arm("zero", 0.7, n), arm("few", 0.82, n)),
        comparisons=(compare(ACCURACY, 0.12, "better", n), compare(MACRO_F1, 0.02, "inconclusive", n), compare(SPEED, 0.2, "worse", n)),
        outcome="better",
        best="few",
        verdict=f"few is better than zero {HOSTILE[1]}",
        notes=(HOSTILE[2], "1 of 100 rows of zero failed and count as the worst score."),
        rows=n,
        disagreements=sum(item.disagree for item in rows),
        prompts=(
            PromptDiff(candidate="few", node="classify", baseline_file="zero.jinja2", candidate_file="few.jinja2",
                       baseline_text=f"system:\nSay {HOSTILE[0]}\nsame\n", candidate_text="system:\nSay nothing\nsame\n",
                       settings={"max_tokens": (12, None)}),
        ),
        facts={"flow": HOSTILE[3], "rows in flight": "4"},
    )  # fmt: skip


@pytest.fixture
def quiet(found: ExperimentComparison) -> ExperimentComparison:
    """The same with one arm and nothing to compare."""
    return structs.replace(
        found, arms=found.arms[:1], comparisons=(), outcome="single", prompts=(), notes=(), disagreements=0
    )
