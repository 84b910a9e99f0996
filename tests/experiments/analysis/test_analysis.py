"""From rows and scores to measures, judgements, views and words."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pilothouse.evaluation.types import (
    UPSTREAM,
    Comparison,
    Estimate,
    Interval,
    LabelPair,
    Metric,
    Score,
    ScoredRow,
    Verdict,
)
from pilothouse.experiments.analysis.compilation import merge
from pilothouse.experiments.analysis.judgements import Judgements, disagreements
from pilothouse.experiments.analysis.measures import measure, work_done
from pilothouse.experiments.analysis.prompts import prompt_diffs
from pilothouse.experiments.analysis.recorded import FirstTimes, Recorded, first_times
from pilothouse.experiments.analysis.verdict import best_arm, notes_of, outcome_of, verdict_of
from pilothouse.experiments.analysis.views import ArmRows, row_views
from pilothouse.experiments.comparison import Arm
from pilothouse.experiments.runs.types import Attempt, Counts, FlowRef, Run, RunRow, RunSpec, Totals
from pilothouse.experiments.types import Variant
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import ErrorInfo, NodeResult
from pilothouse.models.types import Usage

ACCURACY = Metric(name="accuracy", evaluator="e", score="s", kind="rate", worst=0.0, bounds=(0.0, 1.0))
RUN = Run(
    id="1", name="run", status="completed", spec=RunSpec(flow="f"), flow=FlowRef(name="f", path="f", digest="d"),
    counts=Counts(total=2, completed=2), created_by="me", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    totals=Totals(usage=Usage(input_tokens=10), cached_usage=Usage(input_tokens=4), cost=Decimal("0.5"), cached_cost=Decimal("0.25"), unpriced=1),
)  # fmt: skip
CALL = NodeResult(node="n", status="completed", provider="p", model="m", usage=Usage(input_tokens=5))
CACHED = NodeResult(node="n", status="cached", provider="p", model="m", cached_usage=Usage(input_tokens=4))
CODE = NodeResult(node="c", status="completed")


def recorded(rows: list[RunRow], first: FirstTimes | None = None) -> Recorded:
    return Recorded(run=RUN, rows=lambda: rows, first=first or {})


def row(number: int, *nodes: NodeResult, cached: bool = False, duration: float = 1.0, **given: object) -> RunRow:
    return RunRow(
        line_id=str(number), number=number, status="completed", nodes=nodes, cached=cached, duration=duration, **given
    )  # type: ignore[arg-type]


def test_calls_and_costs_count_what_the_variant_needs_and_time_only_what_was_measured() -> None:
    rows = [row(0, CALL, CODE, duration=2.0), row(1, CACHED, CODE, cached=True, duration=0.001)]
    taken = measure(recorded(rows))
    assert (taken.calls.total, taken.calls.cached, taken.models) == (2, 1, ("p/m",))
    assert (taken.latency.p50, taken.latency.n, taken.latency.unknown) == (2.0, 1, 1)
    assert (taken.usage.input_tokens, taken.cost, taken.unpriced) == (14, Decimal("0.75"), 1)
    priced = [row(0, CALL, unpriced=1), row(1, CACHED, cached_cost=Decimal("0.25"))]
    assert measure(recorded(priced)).unpriced == 1
    assert measure(recorded([])).latency.p50 is None


def test_a_row_from_the_cache_takes_the_time_it_first_took() -> None:
    now = [
        row(0, CACHED, cached=True, inputs={"x": 0}),
        row(1, CACHED, CALL, inputs={"x": 1}),
        row(2, CALL, inputs={"x": 2}),
        row(3, CACHED, cached=True, inputs={"x": 3}),
    ]
    last = [row(0, CACHED, cached=True, inputs={"x": 0}), row(1, CALL, CALL, inputs={"x": 1}, duration=7.0)]
    first = [row(0, CALL, inputs={"x": 0}, duration=5.0), row(3, CALL, inputs={"x": 3}, outputs={"y": 1}, duration=9.0)]
    found = first_times(now, [last, first])
    assert found == {("0", 0): 5.0, ("1", 0): 7.0}
    taken = measure(recorded(now, found))
    assert (taken.latency.n, taken.latency.cached, taken.latency.unknown) == (3, 2, 1)
    assert sorted(taken.latency.curve) == [1.0, 5.0, 7.0]


def test_calls_made_now_leave_out_earlier_attempts_and_the_cache() -> None:
    rows = [row(0, CALL, attempt=1), row(1, CALL, CACHED, CODE, attempt=2)]
    attempts = tuple(Attempt(number=number, started_at=RUN.created_at) for number in (1, 2))
    done = structs.replace(recorded(rows), run=structs.replace(RUN, attempts=attempts))
    assert [work_done(done, since) for since in (1, 2, 3)] == [(2, 0), (1, 1), (0, 2)]


def label(number: int, truth: str, answer: str | None, *, failed: bool = False) -> ScoredRow:
    error = ErrorInfo(type=UPSTREAM, message="x") if failed else None
    right = truth == answer
    score = Score(
        name="s", evaluator="e", labels=LabelPair(truth=truth, prediction=answer), error=error,
        state="error" if failed else "ok" if answer else "unparsable", value=right if answer and not failed else None,
    )  # fmt: skip
    return ScoredRow(id=str(number), scores=(score,))


def test_rows_are_right_wrong_or_failed_as_the_metric_counts_them() -> None:
    judged = Judgements(
        ACCURACY, [label(0, "a", "a"), label(1, "a", "b"), label(2, "a", None), label(3, "b", None, failed=True)]
    )
    assert [judged[str(number)].right for number in range(4)] == [True, False, False, False]
    assert [judged[str(number)].failed for number in range(4)] == [False, False, False, True]
    assert (judged["3"].truth, judged["none"].right) == ("b", None)


def test_a_number_is_neither_right_nor_wrong_and_lower_may_be_better() -> None:
    mean = Metric(name="m", evaluator="e", score="s", kind="mean")
    flag = Metric(name="f", evaluator="e", score="s", kind="rate", better="lower")
    number = ScoredRow(id="0", scores=(Score(name="s", evaluator="e", value=0.7),))
    bad = ScoredRow(id="0", scores=(Score(name="s", evaluator="e", value=True),))
    assert (Judgements(mean, [number])["0"].value, Judgements(mean, [number])["0"].right) == (0.7, None)
    assert Judgements(flag, [bad])["0"].right is False


def test_arms_disagree_on_other_labels_failures_and_rows_they_lack() -> None:
    first = Judgements(ACCURACY, [label(0, "a", "b"), label(1, "a", "a"), label(2, "a", "a"), label(3, "a", "a")])
    second = Judgements(ACCURACY, [label(0, "a", "c"), label(1, "a", "a"), label(2, "a", None, failed=True)])
    assert disagreements({"x": first, "y": second}) == 3


def test_views_join_rows_in_the_data_s_order_also_where_an_arm_lacks_some() -> None:
    judged = Judgements(ACCURACY, [label(number, "a", "a") for number in range(4)])
    left = [row(number, inputs={"x": number}, outputs={"l": "a"}) for number in (0, 1, 3)]
    right = [row(number, outputs={"l": "b"}) for number in (1, 2)]
    failed = RunRow(line_id="3", number=3, status="missing")
    views = list(
        row_views(
            [ArmRows(rows=left, judged=judged, scores={}), ArmRows(rows=[*right, failed], judged=judged, scores={})]
        )
    )
    assert [(view.number, [answer is not None for answer in view.answers]) for view in views] == [
        (0, [True, False]), (1, [True, True]), (2, [False, True]), (3, [True, True]),
    ]  # fmt: skip
    assert views[3].inputs == {"x": 3}
    assert views[3].answers[1] is not None
    assert views[3].answers[1].error == "the row is missing"


def test_repeats_are_rows_of_their_own() -> None:
    rows = [row(0, repeat=0), row(0, repeat=1)]
    judged = Judgements(ACCURACY, [ScoredRow(id="0#1", scores=label(0, "a", "b").scores)])
    views = list(row_views([ArmRows(rows=rows, judged=judged, scores={})], repeat=2))
    assert [(view.key, view.truth) for view in views] == [("0", None), ("0#1", "a")]


def test_scores_of_several_evaluators_are_merged_by_row() -> None:
    other = ScoredRow(id="1", scores=(Score(name="z", evaluator="z", value=1.0),), cluster="c")
    merged = merge([[label(0, "a", "a"), label(1, "a", "a")], [other]])
    assert [(item.id, len(item.scores), item.cluster) for item in merged] == [("0", 1, None), ("1", 2, "c")]


def arm(name: str, value: float | None, *, failed: int = 0, **given: object) -> Arm:
    found = Estimate(
        name="accuracy", value=value, n=50, interval=Interval(low=0.1, high=0.9, level=0.95, method=""), **given
    )  # type: ignore[arg-type]
    return Arm(variant=Variant(name=name), run=name, rows=50, failed=failed, estimates={"accuracy": found})


def against(name: str, verdict: Verdict, *, mde: float | None = 0.2, n: int = 50) -> Comparison:
    difference = Estimate(name="accuracy", value=0.1, interval=Interval(low=0.0, high=0.2, level=0.95, method=""), n=n)
    return Comparison(
        metric="accuracy", baseline="a", candidate=name, difference=difference, test="t", p_value=0.02,
        p_adjusted=0.04, n_pairs=n, mde=mde, verdict=verdict, correction="holm, 2 comparisons",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "outcome", "words"),
    [
        (["better", "inconclusive"], "better", ["b is better than a: accuracy 0.60 against 0.50", "p = 0.040 after correction", "c is inconclusive; 50 rows"]),
        (["inconclusive", "inconclusive"], "inconclusive", ["inconclusive: b and c cannot be told apart from a", "differences of 0.20 or more"]),
        (["worse", "worse"], "worse", ["a stands.", "b is worse than a", "c is worse than a"]),
        (["worse", "inconclusive"], "inconclusive", ["inconclusive: c cannot", "b is worse than a"]),
    ],
)  # fmt: skip
def test_the_verdict_in_words(verdicts: list[Verdict], outcome: str, words: list[str]) -> None:
    arms = [arm("a", 0.5), arm("b", 0.6), arm("c", 0.55)]
    comparisons = [against(name, verdict) for name, verdict in zip("bc", verdicts, strict=True)]
    assert outcome_of(arms, comparisons) == outcome
    text = verdict_of(ACCURACY, "a", arms, comparisons)
    assert all(word in text for word in words), text


def test_the_verdict_without_pairs_or_without_a_rival() -> None:
    arms = [arm("a", None), arm("b", None)]
    assert "no row is measured in both a" in verdict_of(ACCURACY, "a", arms, [against("b", "inconclusive", n=0)])
    assert "could not be measured" in verdict_of(ACCURACY, "a", arms[:1], [])
    assert "nothing to compare it with" in verdict_of(ACCURACY, "a", [arm("a", 0.5)], [])
    assert "detected" not in verdict_of(ACCURACY, "a", arms, [against("b", "inconclusive", mde=None)])


def test_notes_tell_of_failures_exclusions_and_few_rows() -> None:
    arms = [
        arm("a", 0.5, failed=3, counted={"failed": 3}, excluded={"error": 2}),
        arm("b", 0.5, failed=1, note="one class only"),
    ]
    notes = notes_of(ACCURACY, "a", arms, [against("b", "inconclusive"), against("c", "inconclusive")])
    text = "\n".join(notes)
    for words in (
        "3 of 50 rows of a failed and count as the worst score.", "1 of 50 rows of b failed and are left out.",
        "rows that did not enter accuracy: 2 failed in the evaluator", "b, accuracy: one class only.", "2 variants are compared with a",
    ):  # fmt: skip
        assert words in text


def test_the_best_arm_follows_the_direction() -> None:
    arms = [arm("a", 0.5), arm("b", 0.6), arm("c", None)]
    lower = Metric(name="accuracy", kind="mean", better="lower")
    assert (best_arm(arms, ACCURACY), best_arm(arms, lower), best_arm([arm("c", None)], ACCURACY)) == ("b", "a", None)


def test_prompts_and_settings_that_differ_are_found(project: Any) -> None:
    project.edit(
        "flows/sms/flow.dag.yaml",
        "path: few.jinja2}\n          connection: scripted\n          api: chat\n          inputs: {model: tiny,",
        "path: few.jinja2}\n          connection: scripted\n          api: chat\n          inputs: {model: big,",
    )
    flow = load_flow(project.root / "flows/sms")
    (diff,) = prompt_diffs(flow, {"few": chosen(flow, {"classify": "few"}), "zero": flow})
    assert (diff.node, diff.baseline_file, diff.candidate_file) == ("classify", "zero.jinja2", "few.jinja2")
    assert diff.settings == {"model": ("tiny", "big")}
    assert "zero: {{text}}" in diff.baseline_text
    Path(project.root / "flows/sms/few.jinja2").write_bytes(b"\xff")
    (broken,) = prompt_diffs(flow, {"few": chosen(flow, {"classify": "few"})})
    assert broken.candidate_text == "\ufffd"
