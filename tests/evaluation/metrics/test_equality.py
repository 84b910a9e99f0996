"""Figures of evaluators, end to end, against reference implementations on at least 300 rows; `docs/evaluators.md` lists all."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from sklearn import metrics as sk
from tests.evaluation.evaluators.test_metrics import figures, judge, load, scores

Pairs = list[tuple[str, str]]
RNG = np.random.default_rng(21)
ROWS = 400
CLASSES = ["billing", "delivery", "refund", "other"]
TRUTH = [CLASSES[i] for i in RNG.integers(0, 4, ROWS)]
SAID = [true if RNG.random() < 0.7 else CLASSES[RNG.integers(0, 4)] for true in TRUTH]
CHANCES = RNG.dirichlet([0.5] * 4, size=ROWS)


def given(**columns: Any) -> list[dict[str, Any] | None]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_classification_is_scikit_learns() -> None:
    found = figures(judge(load("classification", beyond_chance=True), given(prediction=SAID, truth=TRUTH)))
    wanted = {
        "accuracy": sk.accuracy_score(TRUTH, SAID),
        "macro_f1": sk.f1_score(TRUTH, SAID, average="macro"),
        "weighted_f1": sk.f1_score(TRUTH, SAID, average="weighted"),
        "macro_precision": sk.precision_score(TRUTH, SAID, average="macro"),
        "macro_recall": sk.recall_score(TRUTH, SAID, average="macro"),
        "mcc": sk.matthews_corrcoef(TRUTH, SAID),
        "kappa": sk.cohen_kappa_score(TRUTH, SAID),
    }
    shown = {name: item.value for name, item in found.items() if name in wanted}
    assert {*shown} >= {"accuracy", "macro_f1", "weighted_f1", "mcc", "kappa"}
    assert shown == pytest.approx({name: wanted[name] for name in shown}, abs=1e-9)
    for name in ("mcc", "kappa"):
        interval = found[name].interval
        assert interval is not None
        assert interval.low < wanted[name] < interval.high


def test_an_answer_that_is_no_label_is_a_class_of_its_own_for_mcc_and_kappa() -> None:
    said = ["hm" if n % 7 == 0 else text for n, text in enumerate(SAID)]
    found = figures(
        judge(load("classification", labels=CLASSES, beyond_chance=True), given(prediction=said, truth=TRUTH))
    )
    assert found["mcc"].value == pytest.approx(sk.matthews_corrcoef(TRUTH, said), abs=1e-9)
    assert found["kappa"].value == pytest.approx(sk.cohen_kappa_score(TRUTH, said), abs=1e-9)
    constant = figures(
        judge(load("classification", beyond_chance=True), given(prediction=["other"] * ROWS, truth=TRUTH))
    )
    assert (constant["mcc"].value, constant["kappa"].value) == (0.0, pytest.approx(0.0, abs=1e-9))


def test_log_loss_and_brier_are_scikit_learns() -> None:
    told = [dict(zip(CLASSES, map(float, row), strict=True)) for row in CHANCES]
    found = figures(judge(load("log_loss"), given(probabilities=told, truth=TRUTH)))["log_loss"]
    order = [CLASSES.index(name) for name in sorted(CLASSES)]
    assert found.value == pytest.approx(sk.log_loss(TRUTH, CHANCES[:, order], labels=sorted(CLASSES)), abs=1e-9)
    many = figures(judge(load("brier"), given(probabilities=told, truth=TRUTH)))["brier"]
    onehot = np.array([[name == true for name in CLASSES] for true in TRUTH], dtype=float)
    assert many.value == pytest.approx(((CHANCES - onehot) ** 2).sum(axis=1).mean(), abs=1e-9)
    right = [bool(value) for value in RNG.random(ROWS) < CHANCES[:, 0]]
    one = figures(judge(load("brier"), given(probabilities=[*map(float, CHANCES[:, 0])], truth=right)))["brier"]
    assert one.value == pytest.approx(sk.brier_score_loss(right, CHANCES[:, 0]), abs=1e-9)


def test_calibration_error_is_that_of_the_formula() -> None:
    confidence, right = RNG.random(ROWS), RNG.random(ROWS) < 0.6
    found = figures(judge(load("calibration"), given(confidence=[*map(float, confidence)], right=[*map(bool, right)])))
    bins = np.minimum((confidence * 10).astype(int), 9)
    wanted = sum(
        np.mean(bins == place) * abs(right[bins == place].mean() - confidence[bins == place].mean())
        for place in range(10)
    )
    assert found["calibration_error"].value == pytest.approx(wanted, abs=1e-9)


def squad(text: str) -> str:
    """SQuAD's normalisation, step by step as its paper's script does: lower, punctuation, articles, white space."""
    kept = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
    return " ".join(word for word in re.sub(r"\b(a|an|the)\b", " ", kept).split())


def test_exact_match_and_token_f1_are_squads(text_pairs: Pairs) -> None:
    pairs = [*text_pairs, *((f"The {wanted.upper()}!", wanted) for _, wanted in text_pairs[:40])]
    rows = given(prediction=[answer for answer, _ in pairs], truth=[wanted for _, wanted in pairs])
    exact, f1 = [], []
    for answer, wanted in pairs:
        one, other = squad(answer).split(), squad(wanted).split()
        exact.append(one == other)
        same = sum((Counter(one) & Counter(other)).values())
        if not one or not other:
            f1.append(float(one == other))
        elif not same:
            f1.append(0.0)
        else:
            precision, recall = same / len(one), same / len(other)
            f1.append(2 * precision * recall / (precision + recall))
    found = judge(load("exact_match"), rows)
    assert [row.scores[0].value for row in found.rows] == exact
    assert sum(exact) >= 40
    assert [row.scores[0].value for row in judge(load("token_f1"), rows).rows] == pytest.approx(f1, abs=1e-9)


def levenshtein(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for place, sign in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, wanted in enumerate(other, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (sign != wanted))
    return row[-1]


def test_likeness_is_levenshteins(text_pairs: Pairs) -> None:
    pairs = [(answer[:60].strip(), wanted[:60].strip()) for answer, wanted in text_pairs]
    rows = given(prediction=[answer for answer, _ in pairs], truth=[wanted for _, wanted in pairs])
    wanted = [1 - levenshtein(a, b) / max(len(a), len(b), 1) for a, b in pairs]
    found = [row.scores[0].value for row in judge(load("likeness"), rows).rows]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_schemas_are_judged_as_jsonschema_does() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"enum": ["x", "y"]}},
        "additionalProperties": False,
    }
    choices: list[Any] = [0, 3, -1, 1.5, "x", None, True]
    documents = [
        {key: choices[RNG.integers(0, 7)] for key in ("a", "b", "c") if RNG.random() < p}
        for p in RNG.uniform(0.2, 1, 320)
    ]
    documents[:40] = [{"a": n, "b": "xy"[n % 2]} for n in range(40)]
    oracle = jsonschema.Draft202012Validator(schema)
    evaluator = load("json_schema", schema=schema)
    found = [scores(evaluator, prediction=json.dumps(item))["json_schema"].value for item in documents]
    assert found == [oracle.is_valid(item) for item in documents]
    assert 40 <= sum(map(bool, found)) < 320


# The list in the documentation


def test_the_documented_references_are_those_that_are_tested() -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "evaluators.md").read_text(encoding="utf-8")
    section = page.partition("## Equal to the references")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")
    ]
    assert len(rows) >= 20
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    for figures_, _, n, tolerance, test in rows:
        file, _, function = test.strip("`").partition("::")
        source = (root / "tests" / "evaluation" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), (figures_, test)
        assert int(n.replace(",", "")) >= 300, (figures_, n)
        limit = "==" if tolerance == "0" else tolerance
        body = source.partition(f"def {function}(")[2].partition("\ndef ")[0]
        assert limit in body, (figures_, tolerance)
    assert documented >= {
        "accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "log_loss", "brier", "calibration_error", "bleu", "chrf",
        "ter", "rouge", "meteor", "meteor_stem", "wer", "cer", "likeness", "exact_match", "token_f1", "json_schema",
        "retrieval", "token_similarity", "embedding_similarity", "cross_entropy", "perplexity", "tool_calls",
        "image_pixels", "image_hash", "audio_snr",
    }  # fmt: skip
