from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pilothouse.core.errors import DataError, NotFound
from pilothouse.evaluation.compare import compare, compare_runs, correct
from pilothouse.evaluation.statistics.power import detectable_mean_difference, detectable_rate_difference
from pilothouse.evaluation.statistics.tests import mcnemar
from pilothouse.evaluation.types import Comparison, Metric, Procedure

from .rows import ACCURACY, FAILED, MACRO_F1, MEAN, MEDIAN, P95, RATE, labelled, rights, scored

RNG = np.random.default_rng(20)
QUICK = Procedure(resamples=400, permutations=399)


def pairs(lost: int, gained: int, both: int, neither: int) -> tuple[str, str]:
    """Letters of two runs over the same rows."""
    return (
        "1" * lost + "0" * gained + "1" * both + "0" * neither,
        "0" * lost + "1" * gained + "1" * both + "0" * neither,
    )


def of_pairs(lost: int, gained: int, both: int, neither: int) -> Comparison:
    before, after = pairs(lost, gained, both, neither)
    return compare(RATE, rights(before), rights(after))


def test_a_rate() -> None:
    found = of_pairs(4, 20, 50, 26)
    assert found.test == "McNemar exact"
    assert found.p_value == mcnemar(4, 20).p_value
    assert (found.discordant, found.n_pairs, found.verdict) == ((4, 20), 100, "better")
    assert found.difference.value == pytest.approx(0.16)
    assert found.difference.interval is not None
    assert found.difference.interval.method == "tango"
    assert 0.05 < found.difference.interval.low < 0.16 < found.difference.interval.high < 0.27
    assert found.mde == pytest.approx(detectable_rate_difference(100, 0.24))


def test_verdicts() -> None:
    assert of_pairs(20, 4, 50, 26).verdict == "worse"
    assert of_pairs(10, 14, 50, 26).verdict == "inconclusive"
    lower = structs.replace(RATE, better="lower")
    before, after = pairs(4, 20, 50, 26)
    assert compare(lower, rights(before), rights(after)).verdict == "worse"


def test_too_few_discordant_pairs_are_said() -> None:
    five, six = of_pairs(0, 5, 50, 10), of_pairs(0, 6, 50, 10)
    assert five.verdict == "inconclusive"
    assert five.note == "only 5 pairs differ: p < 0.05 needs 6"
    assert (six.verdict, six.note) == ("better", None)


def test_identical_runs_are_inconclusive() -> None:
    found = of_pairs(0, 0, 40, 20)
    assert (found.p_value, found.difference.value, found.verdict) == (1.0, 0.0, "inconclusive")
    assert found.difference.interval is not None
    assert found.difference.interval.low < 0 < found.difference.interval.high


def test_rows_of_one_side_alone_are_counted() -> None:
    baseline, candidate = rights("1010110101"), rights("1011110101")
    found = compare(RATE, baseline[2:], candidate[:7])
    assert found.n_pairs == 5
    assert found.unpaired == {"baseline": 3, "candidate": 2}


def test_no_pairs() -> None:
    found = compare(RATE, rights("11")[:1], rights("11")[1:])
    assert (found.n_pairs, found.p_value, found.difference.value, found.verdict) == (0, None, None, "inconclusive")
    assert found.note == "no pairs to compare"


def test_failed_rows_count_as_wrong_and_the_alternative_is_shown() -> None:
    before, after = rights("1" * 30 + "0" * 10), rights("1" * 20 + "F" * 12 + "0" * 6 + "E" * 2)
    found = compare(RATE, before, after)
    assert found.difference.value == pytest.approx(20 / 38 - 30 / 38)
    assert found.difference.counted == {"candidate failed": 12}
    assert found.difference.excluded == {"candidate error": 2}
    assert found.difference.complete == pytest.approx(20 / 26 - 20 / 26)
    assert found.verdict == "worse"
    complete = compare(RATE, before, after, Procedure(failures="exclude"))
    assert (complete.n_pairs, complete.verdict) == (26, "inconclusive")
    assert complete.difference.excluded == {"candidate error": 2, "candidate failed": 12}


def test_a_row_that_fails_on_both_sides_is_counted_once() -> None:
    found = compare(MEAN, scored("value", [FAILED, FAILED, 1.0]), scored("value", [FAILED, 1.0, 1.0]))
    assert found.difference.excluded == {"baseline failed": 1, "both failed": 1}


def test_duplicate_ids_and_other_data_are_refused() -> None:
    rows = rights("1")
    with pytest.raises(DataError, match="two rows have the id"):
        compare(RATE, rows, [*rows, *rows])
    with pytest.raises(DataError, match="truly 'a' in the baseline and 'b' in the candidate"):
        compare(ACCURACY, labelled(["a"], ["a"]), labelled(["b"], ["a"]))


@pytest.mark.parametrize(("n", "method"), [(12, "t"), (60, "BCa"), (6000, "t")])
def test_a_mean(n: int, method: str) -> None:
    before = RNG.normal(size=n)
    after = before + RNG.normal(1.5, 1.0, size=n)
    found = compare(MEAN, scored("value", before.tolist()), scored("value", after.tolist()))
    assert found.verdict == "better"
    assert found.difference.value == pytest.approx((after - before).mean())
    assert found.difference.interval is not None
    assert found.difference.interval.method.startswith(method)
    assert found.mde == pytest.approx(detectable_mean_difference(n, (after - before).std(ddof=1)))
    assert found.test.startswith("paired t" if n > 5000 else "paired permutation")


def test_pairing_finds_what_the_means_alone_would_not() -> None:
    before = RNG.normal(0, 10, size=80)
    after = before + RNG.normal(0.6, 1, size=80)
    assert compare(MEAN, scored("value", before.tolist()), scored("value", after.tolist())).verdict == "better"
    order = RNG.permutation(80)
    assert (
        compare(MEAN, scored("value", before[order].tolist()), scored("value", after.tolist())).verdict
        == "inconclusive"
    )


def test_pairs_that_all_differ_by_the_same_are_decided_by_the_test() -> None:
    before = RNG.normal(size=30)
    found = compare(MEAN, scored("value", before.tolist()), scored("value", (before + 0.5).tolist()))
    assert found.difference.interval is None
    assert found.verdict == "better"
    assert found.mde is None


def test_latency() -> None:
    before = RNG.lognormal(size=150)
    after = before * RNG.uniform(1.2, 1.6, size=150)
    median, high = (
        compare(m, scored("value", before.tolist()), scored("value", after.tolist())) for m in (MEDIAN, P95)
    )
    assert (median.verdict, high.verdict) == ("worse", "worse")  # slower, and lower is better
    assert median.difference.value == pytest.approx(np.median(after) - np.median(before))
    assert median.test == "paired bootstrap"


def test_a_high_quantile_of_few_pairs_is_not_tested() -> None:
    before, after = RNG.lognormal(size=60), RNG.lognormal(3, size=60)
    found = compare(P95, scored("value", before.tolist()), scored("value", after.tolist()))
    assert (found.p_value, found.verdict) == (None, "inconclusive")
    assert found.note == "only 60 pairs: a comparison of this quantile needs 100"


def test_macro_f1() -> None:
    truth = [str(i) for i in RNG.integers(0, 3, 200)]
    weak, strong = (
        [true if RNG.random() < share else str(RNG.integers(0, 3)) for true in truth] for share in (0.4, 0.7)
    )
    found = compare(MACRO_F1, labelled(truth, weak), labelled(truth, strong))
    assert found.verdict == "better"
    assert found.test.startswith("paired permutation")
    assert found.difference.interval is not None
    assert found.difference.interval.method.startswith("BCa")
    assert found.mde is not None
    assert 0.05 < found.mde < 0.25


@pytest.mark.parametrize("metric", [RATE, MEAN, MEDIAN, ACCURACY, MACRO_F1])
def test_clusters_are_no_independent_evidence(metric: Metric) -> None:
    # Eight documents, thirty copies of each: five moved one way and three the other.
    documents = [f"d{i // 30}" for i in range(240)]
    before, after = [False] * 150 + [True] * 90, [True] * 150 + [False] * 90
    if metric.evaluator == "label":
        runs = [
            labelled(["a", "b"] * 120, [t if hit else "x" for t, hit in zip("ab" * 120, side, strict=True)], documents)
            for side in (before, after)
        ]
    else:
        runs = [
            scored(metric.evaluator, [hit if metric is RATE else float(hit) for hit in side], documents)
            for side in (before, after)
        ]
    found = compare(metric, runs[0], runs[1], QUICK)
    assert found.verdict == "inconclusive"
    assert found.difference.clusters == 8
    plain = [[structs.replace(row, cluster=None) for row in run] for run in runs]
    assert metric is MEDIAN or compare(metric, plain[0], plain[1], QUICK).verdict == "better"


def test_a_family_is_corrected() -> None:
    before, after = pairs(4, 16, 50, 30)
    runs = {"base": rights(before), "x": rights(after), "y": rights(before), "z": rights(before)}
    alone = compare(RATE, runs["base"], runs["x"])
    assert alone.p_value is not None
    assert 0.05 / 3 > alone.p_value > 0.05 / 10
    x, y, _ = compare_runs(RATE, runs, "base")
    assert x.p_adjusted == pytest.approx(3 * alone.p_value)
    assert (x.verdict, x.correction, x.candidate) == ("better", "holm, 3 comparisons", "x")
    assert (y.p_adjusted, y.verdict) == (1.0, "inconclusive")
    assert alone.mde is not None
    assert x.mde is not None
    assert x.mde > alone.mde  # the family's strictest level finds only larger differences
    ten = {"base": runs["base"], "x": runs["x"], **{f"v{i}": runs["y"] for i in range(9)}}
    assert compare_runs(RATE, ten, "base")[0].verdict == "inconclusive"
    assert compare_runs(RATE, ten, "base", Procedure(correction="none"))[0].verdict == "better"
    assert compare_runs(RATE, ten, "base", Procedure(correction="benjamini-hochberg"))[0].p_adjusted == pytest.approx(
        10 * alone.p_value
    )


def test_an_untested_comparison_stays_out_of_the_family() -> None:
    before, after = pairs(4, 16, 50, 30)
    tested, untested = compare(RATE, rights(before), rights(after)), compare(RATE, [], [])
    one, none = correct([tested, untested])
    assert one.p_adjusted == tested.p_value
    assert (none.p_adjusted, none.verdict) == (None, "inconclusive")


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(NotFound, match="no run 'zero_shot'") as caught:
        compare_runs(RATE, {"zero-shot": rights("1"), "few-shot": rights("1")}, "zero_shot")
    assert "zero-shot" in str(caught.value)


@given(st.lists(st.tuples(st.sampled_from("10FEA"), st.sampled_from("10FEA")), min_size=1, max_size=60), st.randoms())
def test_comparison_properties(letters: list[tuple[str, str]], random: object) -> None:
    before, after = (rights("".join(side)) for side in zip(*letters, strict=True))
    found, mirror = compare(RATE, before, after), compare(RATE, after, before)
    assert found.p_value == mirror.p_value
    assert {found.verdict, mirror.verdict} in ({"better", "worse"}, {"inconclusive"})
    assert found.n_pairs + sum(found.difference.excluded.values()) == len(letters)
    random.shuffle(before)  # type: ignore[attr-defined]
    assert compare(RATE, before, after) == found
    interval, value = found.difference.interval, found.difference.value
    if interval is not None:
        assert value is not None
        assert -1.0 <= interval.low <= value <= interval.high <= 1.0
        assert mirror.difference.value == pytest.approx(-value)


def test_the_same_procedure_gives_the_same_result() -> None:
    truth = [str(i) for i in RNG.integers(0, 3, 60)]
    runs = {name: labelled(truth, [str(i) for i in RNG.integers(0, 3, 60)]) for name in ("a", "b")}
    assert compare_runs(MACRO_F1, runs, "a") == compare_runs(MACRO_F1, runs, "a")
