"""Calibration: labels as people write them, figures worked out by hand, the record and what it mends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.datasets.types import Row
from pilothouse.evaluation.calibration.correction import corrected_rate
from pilothouse.evaluation.calibration.labels import LabelColumns, part_of, read_labels
from pilothouse.evaluation.calibration.measure import calibrate, disagreements
from pilothouse.evaluation.calibration.service import CalibrationService
from pilothouse.evaluation.calibration.types import Calibration, Label, Part, Value
from pilothouse.evaluation.calibration.wording import words
from pilothouse.evaluation.judges.rubric import Rubric
from pilothouse.evaluation.statistics.agreement import true_rate
from pilothouse.evaluation.types import Metric, Score, ScoredRow, State
from pilothouse.workspace import Workspace

YES_NO = Rubric(question="q")
GRADES = Rubric(question="q", kind="ordinal", levels={1: "bad", 2: "fair", 3: "good"})
PAIRS = Rubric(question="q", kind="pairwise")


def rows(*data: dict[str, Any]) -> list[Row]:
    return [Row(id=str(number), number=number, data=item) for number, item in enumerate(data)]


def labels(rubric: Rubric, *data: dict[str, Any], **columns: Any) -> list[tuple[str, Any]]:
    found = read_labels(rows(*data), rubric, LabelColumns(**columns), "labels.csv")
    return [(label.id, label.value) for label in found]


@pytest.mark.parametrize(
    ("rubric", "raw", "value"),
    [
        (YES_NO, "yes", True),
        (YES_NO, " No ", False),
        (YES_NO, True, True),
        (YES_NO, 0, False),
        (YES_NO, "", None),
        (YES_NO, None, None),
        (GRADES, "2", 2.0),
        (GRADES, 3.0, 3.0),
        (PAIRS, "candidate", 1.0),
        (PAIRS, "tie", 0.5),
        (PAIRS, "0", 0.0),
    ],
)
def test_labels_are_the_judges_own_verdicts(rubric: Rubric, raw: Any, value: Any) -> None:
    assert labels(rubric, {"id": "a", "label": raw}) == [("a", value)]


def test_another_word_may_mean_yes() -> None:
    data = ({"key": 7, "kind": "Spam"}, {"key": 8, "kind": "ham"})
    assert labels(YES_NO, *data, yes="spam", id="key", label="kind") == [("7", True), ("8", False)]


@pytest.mark.parametrize(
    ("rubric", "data", "message"),
    [
        (YES_NO, [{"id": "a", "label": "perhaps"}], "'perhaps' is no verdict"),
        (GRADES, [{"id": "a", "label": "4"}], "'4' is no verdict"),
        (YES_NO, [{"id": "a"}], "needs the columns"),
        (YES_NO, [{"label": "yes"}], "needs the columns"),
        (YES_NO, [{"id": "", "label": "yes"}], "has no id"),
        (YES_NO, [{"id": "a", "label": "yes"}, {"id": "a", "label": "no"}], "two rows have the id"),
        (YES_NO, [{"id": "a", "label": "yes", "rater": "x"}] * 2, "twice"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(rubric: Rubric, data: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        labels(rubric, *data)
    assert "labels.csv, row" in str(caught.value)


def test_several_people_have_a_column_or_a_row_each() -> None:
    wide = (
        {"id": "a", "label_x": "yes", "label_y": "yes", "label_z": "no"},
        {"id": "b", "label_x": "yes", "label_y": "no", "label_z": ""},
        {"id": "c", "label_x": "yes", "label_y": "no", "label_z": "", "label": "no"},
    )
    assert labels(YES_NO, *wide) == [("a", True), ("b", None), ("c", False)]
    long = tuple({"id": "a", "rater": who, "label": said} for who, said in (("x", 1), ("y", 3), ("z", 2)))
    assert labels(GRADES, *long) == [("a", 2.0)]
    assert labels(GRADES, *long[:2], {"id": "b", "rater": "x", "label": 1}) == [("a", 2.0), ("b", 1.0)]
    assert labels(GRADES, {"id": "a", "rater": "x", "label": 1}, {"id": "a", "rater": "y", "label": 2}) == [("a", None)]


def test_an_id_alone_decides_its_part() -> None:
    many = [Label(id=str(number), value=True) for number in range(1000)]
    dev, test = (part_of(many, Part(split=0.3, side=side)) for side in ("dev", "test"))  # type: ignore[arg-type]
    assert len(dev) + len(test) == 1000
    assert 250 < len(dev) < 350
    assert set(part_of(many[:500], Part(split=0.3, side="dev"))) <= set(dev)
    assert part_of(many, Part()) == tuple(many)
    with pytest.raises(ConfigError):
        part_of(many, Part(split=1.0))


def scored(id_: str, value: Value | None, state: State = "ok", **more: Any) -> ScoredRow:
    score = Score(name="j", state=state, value=value, evaluator="j", evaluator_version="v1", **more)
    return ScoredRow(id=id_, scores=(score,))


def table(counts: dict[tuple[Value, Value], int]) -> tuple[list[Label], list[ScoredRow]]:
    """Labels and verdicts with these counts of (label, verdict)."""
    pairs = [pair for pair, times in counts.items() for _ in range(times)]
    return (
        [Label(id=str(n), value=pair[0], ratings=(pair[0],)) for n, pair in enumerate(pairs)],
        [scored(str(n), pair[1]) for n, pair in enumerate(pairs)],
    )


GOOD = {(True, True): 40, (True, False): 10, (False, False): 45, (False, True): 5}


def test_a_table_worked_out_by_hand() -> None:
    found = calibrate("j", "binary", *table(GOOD))
    assert (found.n, found.values, found.matrix) == (100, (False, True), ((45, 5), (10, 40)))
    assert (found.agreement.hits, found.agreement.n) == (85, 100)
    assert found.kappa == pytest.approx(0.7)  # observed 0.85, by chance 0.5
    assert found.kappa_interval is not None
    assert 0.5 < found.kappa_interval.low < 0.7 < found.kappa_interval.high < 0.85
    assert found.sensitivity is not None
    assert found.specificity is not None
    assert (found.sensitivity.value, found.specificity.value) == (0.8, 0.9)
    assert (found.version, found.is_small, found.notes) == ("v1", False, ())
    assert words(found).startswith("calibrated: kappa 0.70 [0.")
    assert words(found).endswith("n 100")
    assert (words(None), words(calibrate("j", "binary", [], []))) == ("uncalibrated", "uncalibrated")


@pytest.mark.parametrize(
    ("counts", "note"),
    [
        ({(True, True): 29, (False, False): 40}, "too few rows are labelled yes: 29"),
        ({(True, True): 40}, "too few rows are labelled no: 0"),
        ({(True, False): 40, (False, True): 40}, "no better than chance"),
    ],
)
def test_what_cannot_be_relied_on_is_said(counts: dict[tuple[Value, Value], int], note: str) -> None:
    found = calibrate("j", "binary", *table(counts))
    assert note in " ".join(found.notes)
    assert ("too few" in words(found)) == ("too few" in note)


def test_one_class_has_no_kappa() -> None:
    found = calibrate("j", "binary", *table({(True, True): 40}))
    assert (found.kappa, found.kappa_interval) == (None, None)


def test_levels_are_weighted_and_pairs_are_not() -> None:
    ordinal = calibrate("j", "ordinal", *table({(1.0, 1.0): 10, (2.0, 3.0): 10, (3.0, 3.0): 10}))
    assert ordinal.kappa == pytest.approx(1 - (10 / 30) / (15 / 9))
    assert (ordinal.sensitivity, ordinal.values) == (None, (1.0, 2.0, 3.0))
    pairwise = calibrate("j", "pairwise", *table({(1.0, 1.0): 10, (0.0, 0.5): 10}))
    assert (pairwise.kappa, pairwise.values) == (pytest.approx((0.5 - 0.25) / 0.75), (0.0, 0.5, 1.0))


def test_missing_verdicts_and_labels_are_counted() -> None:
    people = [
        Label(id="a", value=True, ratings=(True, True)),
        Label(id="b", value=None, ratings=(True, False)),
        Label(id="c", value=False, ratings=(False, False)),
        Label(id="d", value=False, ratings=(False,)),
        Label(id="gone", value=True),
    ]
    verdicts = [scored("a", True), scored("b", True), scored("c", None, "unparsable"), scored("d", None, "abstained"),
                scored("e", True)]  # fmt: skip
    found = calibrate("j", "binary", people, verdicts)
    assert (found.n, found.without_verdict) == (1, {"abstained": 1, "unparsable": 1})
    assert (found.divided, found.without_label, found.unknown, found.raters) == (1, 2, 1, 2)
    assert found.alpha == pytest.approx(1 - (2 / 6) / (2 * 3 * 3 / (6 * 5)))
    assert any("2 of 3 labelled rows have no verdict" in note for note in found.notes)
    assert "people agree little among themselves: no judge can agree with all of them" in found.notes


def test_answers_to_one_question_asked_again() -> None:
    def answers(*told: tuple[str, bool]) -> dict[str, Any]:
        return {"answers": [{"state": "ok", "verdict": said, "judge": who} for who, said in told]}

    verdicts = [
        scored("a", True, evidence=answers(("x", True), ("x", True), ("y", False), ("y", False))),
        scored("b", True, evidence=answers(("x", True), ("x", False))),
        scored("c", True, evidence=answers(("x", True), ("y", False))),
    ]
    people: Sequence[Label] = [Label(id=row.id, value=True) for row in verdicts]
    retest = calibrate("j", "binary", people, verdicts).retest
    assert retest is not None
    assert (retest.hits, retest.n) == (2, 3)
    assert calibrate("j", "binary", people, [scored("a", True)]).retest is None


def test_flips_of_a_pairwise_judge() -> None:
    def row(id_: str, value: float, *, flipped: bool) -> ScoredRow:
        first = scored(id_, value).scores[0]
        return ScoredRow(id=id_, scores=(first, replace(first, name="j_flipped", value=flipped)))

    verdicts = [row("a", 1.0, flipped=False), row("b", 0.5, flipped=True), row("unlabelled", 0.5, flipped=True)]
    flips = calibrate("j", "pairwise", [Label(id="a", value=1.0), Label(id="b", value=0.0)], verdicts).flips
    assert flips is not None
    assert (flips.hits, flips.n) == (1, 2)


def test_disagreements_are_told_with_the_judges_reason() -> None:
    evidence = {"answers": [{"state": "ok", "verdict": True, "reason": "it shouts", "judge": "m"}]}
    people = [Label(id="a", value=False), Label(id="b", value=True)]
    (one,) = disagreements("j", people, [scored("a", True, evidence=evidence), scored("b", True)])
    assert (one.id, one.label, one.verdict, one.reason) == ("a", False, True, "it shouts")


RATE = Metric(name="j", evaluator="j", score="j", kind="rate")


def test_the_corrected_rate_is_rogan_gladens() -> None:
    known = calibrate("j", "binary", *table(GOOD))
    judged = [scored(str(n), n < 60) for n in range(200)] + [scored("x", None, "abstained")]
    found = corrected_rate(RATE, judged, known)
    expected = true_rate(60, 200, sensitivity=(40, 50), specificity=(45, 50))
    assert found is not None
    assert found.value == pytest.approx((0.3 + 0.9 - 1) / 0.7)
    assert (found.value, found.interval, found.n, found.excluded) == (*expected, 200, {"abstained": 1})
    clustered = corrected_rate(RATE, [replace(row, cluster="c") for row in judged], known)
    assert clustered is not None
    assert (clustered.value, clustered.interval) == (found.value, None)
    assert corrected_rate(RATE, judged, None) is None
    assert corrected_rate(replace(RATE, kind="mean"), judged, known) is None
    assert corrected_rate(replace(RATE, score="other"), judged, known) is None
    useless = corrected_rate(RATE, judged, calibrate("j", "binary", *table({(True, True): 40})))
    assert useless is not None
    assert useless.value is None


@pytest.fixture
def kept(tmp_path: Path) -> Any:
    workspace = Workspace(tmp_path)
    yield workspace.get(CalibrationService)
    workspace.close()


def test_a_calibration_belongs_to_a_version_for_good(kept: CalibrationService) -> None:
    first = calibrate("j", "binary", *table(GOOD))
    version = "a" * 64
    found: Calibration = replace(first, version=version)
    assert (kept.latest(version), kept.list()) == (None, ())
    ref = kept.keep(found).ref
    assert (kept.latest(version), kept.keep(found).ref) == (found, ref)
    assert kept.latest("b" * 64) is None
    later = replace(found, split=0.5)
    assert kept.keep(later).ref != ref
    assert kept.latest(version) == later
    assert [item for _, item in kept.list()] == [later]
    with pytest.raises(DataError, match="cannot be calibrated"):
        kept.keep(calibrate("j", "binary", [], []))
