"""Figures of labels against known values, and how often a sign test over items cries wolf."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pilothouse.evaluation.annotation.agreement import agreement_of
from pilothouse.evaluation.annotation.finals import finals_of, together
from pilothouse.evaluation.annotation.order import first_side
from pilothouse.evaluation.annotation.preference import preference_of
from pilothouse.evaluation.annotation.question import Question, Value
from pilothouse.evaluation.annotation.types import Choosing, Item, Label, Queue
from pilothouse.evaluation.statistics.alpha import alpha_interval
from pilothouse.evaluation.statistics.tests import mcnemar

from .pairs import no_difference, votes
from .queues import KINDS, LEVELS, PAIRS, TEXT, YES_NO, spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: Krippendorff's own example (2011, section C): four observers, twelve units; alpha nominal .743, ordinal .815.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
FIVE = dict.fromkeys(range(1, 6), "")


def queue_of(question: Question, n: int, **given: object) -> Queue:
    return Queue(id="1", spec=spec(question=question, **given), items=n, digest="", created_by="x", created_at=NOW)  # type: ignore[arg-type]


def labels_of(columns: dict[str, Sequence[Value | None]]) -> list[Label]:
    return [
        Label(place=place, reviewer=name, value=value, created_at=NOW)
        for name, values in columns.items()
        for place, value in enumerate(values)
        if value is not None
    ]


def agree(
    question: Question, columns: dict[str, Sequence[Value | None]], items: Sequence[Item] | None = None, **given: object
):
    n = len(next(iter(columns.values())))
    rows = items or [Item(id=str(place)) for place in range(n)]
    labels = labels_of(columns)
    return agreement_of(queue_of(question, n, **given), finals_of(question, rows, labels), labels)


@pytest.mark.parametrize(("question", "alpha"), [
    (Question(question="?", kind="ordinal", levels=FIVE), 0.815),
    (Question(question="?", kind="categories", categories={str(n): "" for n in range(1, 6)}), 0.743),
])  # fmt: skip
def test_alpha_is_krippendorffs(question: Question, alpha: float) -> None:
    as_label = str if question.kind == "categories" else int
    columns = {f"o{n}": [None if v is None else as_label(v) for v in row] for n, row in enumerate(OBSERVERS)}
    found = agree(question, columns)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert found.alpha_interval is not None
    assert found.alpha_interval.low < alpha < found.alpha_interval.high <= 1.0
    assert found.state == "too few"
    assert len(found.pairs) == 6
    assert (found.same.hits, found.same.n) == (8, 11)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_the_interval_resamples_the_same_alpha(level: str) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 5, 200)
    units = [[float(t), float(min(5, t + (rng.random() < 0.2)))] for t in truth]
    found = alpha_interval(units, level, resamples=400).interval  # type: ignore[arg-type]
    assert found is not None
    half = alpha_interval(units[:50], level, resamples=400).interval  # type: ignore[arg-type]
    assert half is not None
    assert found.high - found.low < half.high - half.low
    assert alpha_interval([[1.0, 1.0]] * 9).interval is None
    assert alpha_interval([[1.0]] * 9).note == "nothing was rated twice"


def test_kappa_of_two_is_that_of_scikit_learn_and_judge_and_people_are_a_pair() -> None:
    rng = np.random.default_rng(5)
    one = [int(v) for v in rng.integers(1, 4, 60)]
    two = [v if rng.random() < 0.7 else int(rng.integers(1, 4)) for v in one]
    items = [Item(id=str(n), opinion=float(value)) for n, value in enumerate(two)]
    found = agree(LEVELS, {"ann": one, "ben": [None, *one[1:]]}, items)
    assert found.judge is not None
    assert found.judge.kappa == pytest.approx(cohen_kappa_score(one, two, weights="quadratic"))
    assert found.judge.same.n == 60
    (pair,) = found.pairs
    assert (pair.kappa, pair.same.hits, pair.state) == (1.0, 59, "ok")
    assert sum(map(sum, found.judge.matrix)) == 60


def test_too_little_is_a_state_of_its_own() -> None:
    alone = agree(YES_NO, {"ann": [True, False]})
    assert (alone.state, alone.alpha, alone.pairs) == ("nothing", None, ())
    assert any("no item has two labels" in note for note in alone.notes)
    equal = agree(YES_NO, {"ann": [True] * 40, "ben": [True] * 40})
    assert (equal.state, equal.alpha, equal.pairs[0].kappa) == ("ok", None, None)
    assert any("cannot be told" in note for note in equal.notes)
    texts = agree(TEXT, {"ann": ["a", "b"], "ben": ["a", "c"]})
    assert (texts.alpha, texts.pairs) == (None, ())
    picked = agree(YES_NO, {"ann": [True]})
    assert not any("chosen" in note for note in picked.notes)


def test_chosen_rows_are_said_to_stand_for_themselves_alone() -> None:
    queue = queue_of(YES_NO, 1)
    chosen = Choosing(rows=90, kept=1, filters=("without an answer",))
    spec_ = type(queue.spec)(
        **{**{n: getattr(queue.spec, n) for n in queue.spec.__struct_fields__}, "choosing": chosen}
    )
    changed = Queue(id="1", spec=spec_, items=1, digest="", created_by="x", created_at=NOW)
    assert "such rows alone" in agreement_of(changed, finals_of(YES_NO, [Item(id="0")], []), []).notes[0]


@pytest.mark.parametrize(("question", "said", "label", "how"), [
    (YES_NO, [True, True, False], True, "most"),
    (YES_NO, [True, False], None, "divided"),
    (YES_NO, [True], True, "single"),
    (KINDS, ["spam", "ham", "other"], None, "divided"),
    (KINDS, ["spam", "ham", "spam", "other"], "spam", "most"),
    (LEVELS, [1, 2, 3], 2, "median"),
    (LEVELS, [1, 2], None, "divided"),
    (PAIRS, [1.0, 0.5, 1.0], 1.0, "most"),
    (TEXT, [], None, "none"),
])  # fmt: skip
def test_labels_come_to_what_most_say(question: Question, said: list[Value], label: Value | None, how: str) -> None:
    assert together(question, said) == (label, how)


def test_a_preference_counts_items_and_not_labels() -> None:
    thrice = preference_of(votes([[1.0, 1.0, 1.0]] * 5 + [[0.0, 0.0, 0.0]] + [[0.5, 1.0, 0.0]]))
    assert (thrice.wins, thrice.losses, thrice.ties, thrice.labels) == (5, 1, 1, (16, 4, 1))
    assert thrice.p_value == mcnemar(1, 5).p_value == pytest.approx(2 * 7 / 64)
    assert thrice.verdict == "inconclusive"
    assert preference_of(votes([[0.0]] * 12)).verdict == "worse"
    few = preference_of(votes([[1.0]] * 5))
    assert (few.verdict, few.net) == ("inconclusive", 1.0)
    assert few.note is not None
    nothing = preference_of([])
    assert (nothing.net, nothing.interval, nothing.p_value, nothing.verdict) == (None, None, 1.0, "inconclusive")


def test_a_reviewer_who_loves_a_place_shows_as_a_place_and_not_as_a_side() -> None:
    firsts = [first_side(7, "0", place) for place in range(80)]
    found = preference_of(votes([[1.0 if first == "candidate" else 0.0] for first in firsts]))
    assert (found.position.first, found.position.second) == (80, 0)
    assert found.position.p_value < 1e-9
    assert (found.wins, found.losses, found.verdict) == (40, 40, "inconclusive")


@pytest.mark.parametrize("reviewers", [1, 3])
def test_no_difference_is_seldom_called_one(reviewers: int) -> None:
    rng = np.random.default_rng(11)
    found = [preference_of(no_difference(rng, 40, reviewers)) for _ in range(200)]
    # 5 %, widened by three and a half standard errors of 200 trials.
    assert sum(item.verdict != "inconclusive" for item in found) / 200 <= 0.05 + 3.5 * (0.05 * 0.95 / 200) ** 0.5
    if reviewers == 3:
        # Counting labels as if they were independent would cry wolf: this is why items are counted.
        assert sum(mcnemar(item.labels[1], item.labels[0]).p_value < 0.05 for item in found) / 200 > 0.1
