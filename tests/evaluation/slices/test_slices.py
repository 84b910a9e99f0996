"""Slices of two and three arms: planted differences are found, thin slices keep silent, all is corrected."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pilothouse.evaluation.slices.analysis import slice_report
from pilothouse.evaluation.slices.types import Cut, Slice, SliceReport, Slicing
from pilothouse.evaluation.statistics.corrections import benjamini_hochberg, holm
from pilothouse.evaluation.types import Procedure, ScoredRow

from ..rows import MACRO_F1, MEAN, RATE, labelled, scored

QUICK = Procedure(resamples=300, permutations=999)
TOPICS = ["law"] * 80 + ["tax"] * 80 + ["art"] * 10
CUT = Cut(
    by="topic",
    labels=("law", "tax", "art"),
    of={f"r{i:04}": ["law", "tax", "art"].index(topic) for i, topic in enumerate(TOPICS)},
)
ODD = Cut(by="odd", labels=("0", "1"), of={f"r{i:04}": i % 2 for i in range(len(TOPICS))})


def planted() -> dict[str, list[ScoredRow]]:
    """The candidate loses every other row of law, and nothing elsewhere."""
    base = [i % 10 != 0 for i in range(len(TOPICS))]
    now = [
        right and not (topic == "law" and i % 4 == 1) for i, (right, topic) in enumerate(zip(base, TOPICS, strict=True))
    ]
    return {"base": scored("right", base), "now": scored("right", now)}


def report(slicing: Slicing | None = None) -> SliceReport:
    return slice_report(RATE, planted(), "base", [CUT, ODD], slicing or Slicing(by=("topic", "odd")), QUICK)


def part(found: SliceReport, value: str) -> Slice:
    return next(item for item in found.slices if item.value == value)


def test_the_slice_with_the_planted_loss_is_worse_and_the_others_are_not() -> None:
    found = report()
    law, tax = part(found, "law"), part(found, "tax")
    assert (law.comparisons[0].verdict, law.comparisons[0].discordant) == ("worse", (20, 0))
    assert (tax.comparisons[0].verdict, tax.comparisons[0].p_value) == ("inconclusive", 1.0)
    assert [item.standing for item in law.contrasts] == ["inconclusive", "weaker"]
    assert law.contrasts[1].difference == pytest.approx(0.65 - 0.9)
    test = next(item for item in found.heterogeneity if (item.by, item.of) == ("topic", "difference"))
    assert (test.differs, test.arm, test.slices) == (True, "now", 2)


def test_a_thin_slice_has_figures_but_no_verdict() -> None:
    art = part(report(), "art")
    assert (art.too_few, art.rows, art.units, art.comparisons) == (True, 10, 10, ())
    assert {item.standing for item in art.contrasts} == {"too few"}
    assert art.estimates["now"].n == 10
    assert not part(report(Slicing(by=("topic",), min_rows=10)), "art").too_few


@pytest.mark.parametrize(("correction", "adjust"), [("holm", holm), ("benjamini-hochberg", benjamini_hochberg)])
def test_the_correction_covers_all_slices_and_arms(correction: str, adjust: object) -> None:
    runs = {**planted(), "same": planted()["base"]}
    slicing = Slicing(by=("topic", "odd"), correction=correction)  # type: ignore[arg-type]
    found = slice_report(RATE, runs, "base", [CUT, ODD], slicing, QUICK)
    compared = [item for one in found.slices for item in one.comparisons]
    assert len(compared) == 8
    assert [item.p_adjusted for item in compared] == pytest.approx(adjust([item.p_value for item in compared]))  # type: ignore[operator]
    contrasts = [item for one in found.slices for item in one.contrasts if item.p_value is not None]
    assert [item.p_adjusted for item in contrasts] == pytest.approx(adjust([item.p_value for item in contrasts]))  # type: ignore[operator]
    assert found.correction == f"{correction}, 8 comparisons of slices"


def test_rows_of_one_document_count_once_for_the_least_number() -> None:
    documents = [f"d{i // 8}" for i in range(len(TOPICS))]
    runs = {name: scored("value", [float(i % 7) for i in range(len(TOPICS))], documents) for name in ("base", "now")}
    law = part(slice_report(MEAN, runs, "base", [CUT], Slicing(by=("topic",)), QUICK), "law")
    assert (law.rows, law.units, law.too_few) == (80, 10, True)


def test_repeats_are_found_by_their_line() -> None:
    rows = [
        ScoredRow(id=f"{row.id}#{k}", scores=row.scores, cluster=row.id) for row in planted()["now"] for k in (0, 1)
    ]
    runs = {"base": rows, "now": rows}
    found = slice_report(
        RATE, runs, "base", [CUT], Slicing(by=("topic",)), QUICK, line_of=lambda row: row.cluster or ""
    )
    law = part(found, "law")
    assert (law.rows, law.units) == (160, 80)
    assert law.comparisons[0].verdict == "inconclusive"


def test_macro_f1_is_compared_by_its_bootstrap_errors() -> None:
    truth = ["a" if i % 2 else "b" for i in range(len(TOPICS))]
    good = [label if i % 9 else "b" for i, label in enumerate(truth)]
    bad = [
        "a" if topic == "law" and i % 3 else label for i, (label, topic) in enumerate(zip(good, TOPICS, strict=True))
    ]
    bad[90], bad[95] = good[91], good[94]  # a slice in which nothing differs has no error to weigh it by
    runs = {"base": labelled(truth, good), "now": labelled(truth, bad)}
    found = slice_report(MACRO_F1, runs, "base", [CUT], Slicing(by=("topic",)), QUICK)
    test = found.heterogeneity[0]
    assert (test.test, test.of, test.differs) == ("Cochran's Q, 1 df", "difference", True)
    assert part(found, "law").contrasts[0].p_value is None


def test_one_slice_cannot_differ_from_itself_and_the_report_is_plain_data() -> None:
    whole = Cut(by="all", labels=("x",), of=dict.fromkeys(CUT.of, 0))
    found = slice_report(RATE, planted(), "base", [whole], Slicing(by=("all",)), QUICK)
    assert [item.note for item in found.heterogeneity] == ["fewer than two slices with enough rows"] * 3
    assert msgspec.json.decode(msgspec.json.encode(found), type=SliceReport) == found


def test_rows_that_failed_in_every_slice_are_no_crash() -> None:
    runs = {name: scored("right", ["abstained"] * len(TOPICS)) for name in ("base", "now")}
    found = slice_report(RATE, runs, "base", [CUT], Slicing(by=("topic",)), QUICK)
    assert part(found, "law").estimates["now"].value is None
    assert all(item.p_value is None for item in found.heterogeneity)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    runs = planted()
    mixed = {name: [rows[i] for i in rng.permutation(len(rows))] for name, rows in runs.items()}
    first, second = (slice_report(RATE, side, "base", [CUT], Slicing(by=("topic",)), QUICK) for side in (runs, mixed))
    assert first == second
