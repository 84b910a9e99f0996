"""Greedy matching of two texts' token vectors, as BERTScore defines it (Zhang et al. 2020).

Every token of the answer is matched to the most similar token of the reference, by cosine, and the weighted mean is the
precision; the other way round it is the recall. As in the package bert-score 0.3.13, tokens that the tokenizer puts
around a text may be matched and weigh nothing, a text without tokens of its own scores 0, and weights are 1 or inverse
document frequencies. Unlike there, texts are not padded: a padded pair's negative similarities count as 0 in that
package, so that its scores depend on the other pairs of a batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from pilothouse.evaluation.statistics.arrays import FloatArray


class Tokens(Struct, frozen=True, kw_only=True):
    """A text as an encoder sees it.

    Attributes:
        ids: Of the vocabulary, one a token.
        own: Whether each token is the text's own; False for those that the tokenizer puts around it.
        vectors: (tokens, dimensions), each of length 1.
        cut: Tokens that did not fit and were left out.
    """

    ids: tuple[int, ...]
    own: tuple[bool, ...]
    vectors: Any
    cut: int = 0


class Match(Struct, frozen=True, kw_only=True):
    """Precision, recall and F1 of one text against one reference: -1 to 1, in practice above 0."""

    precision: float
    recall: float
    f1: float

    def rescaled(self, baseline: Match) -> Match:
        """Return (x - b) / (1 - b) of each: 0 is what unrelated texts score, 1 is the same text."""
        return Match(
            precision=_rescale(self.precision, baseline.precision),
            recall=_rescale(self.recall, baseline.recall),
            f1=_rescale(self.f1, baseline.f1),
        )


class Weights:
    """What each token counts: 1, or its inverse document frequency log((N + 1) / (n + 1)) among N texts."""

    def __init__(self, frequencies: Mapping[int, int] | None = None, texts: int = 0) -> None:
        self._idf = {token: math.log((texts + 1) / (n + 1)) for token, n in (frequencies or {}).items()}
        self._unseen = math.log(texts + 1) if frequencies is not None else 1.0

    @classmethod
    def of(cls, texts: Iterable[Iterable[int]]) -> Weights:
        """Return the inverse document frequencies of texts that are given as the ids of their tokens."""
        found: Counter[int] = Counter()
        count = 0
        for ids in texts:
            found.update(set(ids))
            count += 1
        return cls(found, count)

    def of_text(self, text: Tokens) -> FloatArray | None:
        """Return the weights of a text's tokens, which sum to 1; None when none of them weighs anything."""
        weights = np.array(
            [self._idf.get(token, self._unseen) if own else 0.0 for token, own in zip(text.ids, text.own, strict=True)],
            dtype=np.float64,
        )
        total = float(weights.sum())
        return weights / total if total > 0.0 else None


def match(answer: Tokens, reference: Tokens, weights: Weights) -> Match | None:
    """Return how well the tokens of two texts match; None when no token of one of them weighs anything."""
    if not any(answer.own) or not any(reference.own):
        return Match(precision=0.0, recall=0.0, f1=0.0)
    of_answer, of_reference = weights.of_text(answer), weights.of_text(reference)
    if of_answer is None or of_reference is None:
        return None
    similar: FloatArray = np.asarray(answer.vectors, np.float64) @ np.asarray(reference.vectors, np.float64).T
    precision = float(similar.max(axis=1) @ of_answer)
    recall = float(similar.max(axis=0) @ of_reference)
    total = precision + recall
    return Match(precision=precision, recall=recall, f1=2.0 * precision * recall / total if total else 0.0)


def unit(vectors: Any) -> Any:
    """Return vectors divided by their lengths; a vector of length 0 stays as it is."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0.0, lengths, 1.0)


def _rescale(value: float, baseline: float) -> float:
    return (value - baseline) / (1.0 - baseline)
