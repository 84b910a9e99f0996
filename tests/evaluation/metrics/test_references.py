"""Every text metric against its reference implementation, on real pairs."""

from __future__ import annotations

from typing import Any

import jiwer
import numpy as np
import pytest
import sacrebleu
from nltk.translate import meteor_score as nltk_meteor
from rouge_score import rouge_scorer

from pilothouse.evaluation.metrics.edits import Edits
from pilothouse.evaluation.metrics.meteor import Meteor
from pilothouse.evaluation.metrics.rouge import KINDS, Rouge
from pilothouse.evaluation.metrics.sums import STATISTICS
from pilothouse.evaluation.metrics.translation import Translation

Pairs = list[tuple[str, str]]

TRANSLATION = [
    ("bleu", {}, sacrebleu.BLEU),
    ("bleu", {"lowercase": True, "tokenize": "char"}, sacrebleu.BLEU),
    ("chrf", {}, sacrebleu.CHRF),
    ("chrf", {"word_order": 2}, sacrebleu.CHRF),
    ("ter", {}, sacrebleu.TER),
    ("ter", {"case_sensitive": True}, sacrebleu.TER),
]


@pytest.mark.parametrize(("kind", "options", "reference"), TRANSLATION)
def test_corpus_figures_are_sacrebleus(kind: Any, options: Any, reference: Any, text_pairs: Pairs) -> None:
    metric = Translation(kind, **options)
    sums = np.sum([metric.parts(answer, [wanted]) for answer, wanted in text_pairs], axis=0)
    answers, references = map(list, zip(*text_pairs, strict=True))
    assert metric.value(sums) == pytest.approx(reference(**options).corpus_score(answers, [references]).score, abs=1e-9)


@pytest.mark.no_cover  # the corpus above covers the same lines
@pytest.mark.parametrize(("kind", "options", "reference"), TRANSLATION)
def test_figures_of_one_row_are_sacrebleus(kind: Any, options: Any, reference: Any, text_pairs: Pairs) -> None:
    metric, oracle = Translation(kind, **options), reference(**options)
    for answer, wanted in text_pairs:
        found = metric.value(metric.parts(answer, [wanted, wanted[: len(wanted) // 2]]))
        assert found == pytest.approx(
            oracle.corpus_score([answer], [[wanted], [wanted[: len(wanted) // 2]]]).score, abs=1e-9
        )


@pytest.mark.parametrize(
    ("kind", "sums"),
    [
        ("bleu", (0, 5, 0, 0, 0, 0, 0, 0, 0, 0)),
        ("bleu", (2, 2, 2, 1, 0, 0, 2, 1, 0, 0)),
        ("bleu", (9, 4, 3, 0, 0, 0, 9, 8, 7, 6)),
        ("chrf", (0,) * 18),
        ("chrf", (3, 0, 0) * 6),
        ("ter", (0, 0)),
        ("ter", (3, 0)),
    ],
)
def test_corners_are_sacrebleus(kind: str, sums: tuple[int, ...]) -> None:
    oracle = {"bleu": sacrebleu.BLEU, "chrf": sacrebleu.CHRF, "ter": sacrebleu.TER}[kind]()
    found = STATISTICS[kind](np.array([sums, sums], dtype=float))
    assert found == pytest.approx([oracle._compute_score_from_stats(list(sums)).score] * 2, abs=1e-9)


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge_is_googles(stemmer: bool, text_pairs: Pairs) -> None:
    ours, oracle = Rouge(stemmer=stemmer), rouge_scorer.RougeScorer(list(KINDS), use_stemmer=stemmer)
    for answer, reference in text_pairs:
        wanted = oracle.score(reference, answer)
        for name, (f1, precision, recall) in ours.scores(answer, [reference]).items():
            assert (f1, precision, recall) == pytest.approx(
                (wanted[name].fmeasure, wanted[name].precision, wanted[name].recall), abs=1e-9
            )


def test_meteor_is_nltks_without_synonyms(text_pairs: Pairs) -> None:
    """The oracle's own stages, put together: exact words, then stems."""
    ours = Meteor()
    for answer, reference in text_pairs:
        words, wanted = _words(answer), _words(reference)
        exact, rest, rest_wanted = nltk_meteor.exact_match(words, wanted)
        stems, _, _ = nltk_meteor._enum_stem_match(rest, rest_wanted)
        matches = sorted(exact + stems, key=lambda pair: pair[0])
        if matches:
            precision, recall = len(matches) / len(words), len(matches) / len(wanted)
            mean = precision * recall / (0.9 * precision + 0.1 * recall)
            chunks = nltk_meteor._count_chunks(matches)
            expected = (1 - 0.5 * (chunks / len(matches)) ** 3) * mean
        else:
            expected = 0.0
        assert ours.score(answer, [reference]) == pytest.approx(expected, abs=1e-9)


def _words(text: str) -> list[str]:
    return [text[a:b] for a, b in _spans(text)]


def _spans(text: str) -> list[tuple[int, int]]:
    """Words and signs, cut by hand: another way than the one under test."""
    spans: list[tuple[int, int]] = []
    start = None
    for place, sign in enumerate(text):
        is_word = sign.isalnum() or sign == "_"
        if is_word and start is None:
            start = place
        if not is_word and start is not None:
            spans.append((start, place))
            start = None
        if not is_word and not sign.isspace():
            spans.append((place, place + 1))
    return spans if start is None else [*spans, (start, len(text))]


def test_error_rates_are_jiwers(text_pairs: Pairs) -> None:
    edits = Edits("a test")
    answers, references = map(list, zip(*text_pairs, strict=True))
    words = np.sum([edits.word_errors(answer, reference) for answer, reference in text_pairs], axis=0)
    characters = np.sum([edits.character_errors(answer, reference) for answer, reference in text_pairs], axis=0)
    # jiwer divides words at blanks only; here any white space does.
    blanks = [[" ".join(text.split()) for text in side] for side in (references, answers)]
    assert words[0] / words[1] == pytest.approx(jiwer.wer(*blanks), abs=1e-9)
    assert characters[0] / characters[1] == pytest.approx(jiwer.cer(references, answers), abs=1e-9)
