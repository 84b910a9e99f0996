"""Ranked lists against trec_eval, on 400 random queries with graded gains, ties of ids apart."""

from __future__ import annotations

import random

import pytest
import pytrec_eval

from pilothouse.evaluation.metrics import ranking

CUTS = (1, 3, 5, 10)


@pytest.fixture(scope="module")
def queries() -> list[tuple[list[str], dict[str, float]]]:
    rng = random.Random(11)
    found = []
    for _ in range(400):
        documents = [f"d{number}" for number in range(40)]
        rng.shuffle(documents)
        gains = {name: float(rng.choice([0, 0, 1, 1, 2, 3])) for name in rng.sample(documents, rng.randint(2, 20))}
        gains[next(iter(gains))] = 1.0
        found.append((documents[: rng.randint(1, 30)], gains))
    return found


@pytest.fixture(scope="module")
def expected(queries: list[tuple[list[str], dict[str, float]]]) -> list[dict[str, float]]:
    judged = {str(i): {name: int(gain) for name, gain in gains.items()} for i, (_, gains) in enumerate(queries)}
    runs = {str(i): {name: float(-place) for place, name in enumerate(listed)} for i, (listed, _) in enumerate(queries)}
    asked = {
        "map",
        "recip_rank",
        "ndcg",
        *(f"{m}.{','.join(map(str, CUTS))}" for m in ("P", "recall", "ndcg_cut", "success", "map_cut")),
    }
    made = pytrec_eval.RelevanceEvaluator(judged, asked).evaluate(runs)
    return [made[str(i)] for i in range(len(queries))]


def test_figures_are_trec_evals(
    queries: list[tuple[list[str], dict[str, float]]], expected: list[dict[str, float]]
) -> None:
    for (listed, gains), wanted in zip(queries, expected, strict=True):
        assert ranking.average_precision(listed, gains) == pytest.approx(wanted["map"], abs=1e-9)
        assert ranking.reciprocal_rank(listed, gains) == pytest.approx(wanted["recip_rank"], abs=1e-9)
        assert ranking.ndcg(listed, gains) == pytest.approx(wanted["ndcg"], abs=1e-9)
        for cut in CUTS:
            assert ranking.precision(listed, gains, cut) == pytest.approx(wanted[f"P_{cut}"], abs=1e-9)
            assert ranking.recall(listed, gains, cut) == pytest.approx(wanted[f"recall_{cut}"], abs=1e-9)
            assert ranking.ndcg(listed, gains, cut) == pytest.approx(wanted[f"ndcg_cut_{cut}"], abs=1e-9)
            assert ranking.hit(listed, gains, cut) == bool(wanted[f"success_{cut}"])
            assert ranking.average_precision(listed, gains, cut) == pytest.approx(wanted[f"map_cut_{cut}"], abs=1e-9)


def test_a_document_that_comes_twice_counts_once() -> None:
    assert ranking.hits(["a", "a", "b"], {"a": 1, "b": 1}) == [True, True]
    assert ranking.precision(["a", "a", "a"], {"a": 1}, 3) == pytest.approx(1 / 3)


def test_without_relevant_documents_there_is_nothing_to_find() -> None:
    nothing = {"a": 0.0}
    assert (
        ranking.recall(["a"], nothing, 1)
        is ranking.average_precision(["a"], nothing)
        is ranking.ndcg(["a"], nothing)
        is None
    )
    assert (ranking.precision([], {"a": 1}, 5), ranking.reciprocal_rank([], {"a": 1})) == (0.0, 0.0)
