"""Metrics of a ranked list of documents against those that are relevant; equal to trec_eval's.

``gains`` holds the relevance of every judged document, 0 for one that is not relevant; a document without a judgement
is a hole and counts as not relevant, as in trec_eval. ``ranking`` is best first; a document that comes twice counts
once, where it first stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def hits(ranking: Sequence[str], gains: Mapping[str, float], k: int | None = None) -> list[bool]:
    """Return whether each of the first ``k`` documents is relevant; of all of them without ``k``."""
    return [gains.get(item, 0.0) > 0.0 for item in _unique(ranking, k)]


def precision(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """Return relevant documents among the first ``k`` over ``k``; a shorter list is not excused."""
    return sum(hits(ranking, gains, k)) / k


def recall(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> float | None:
    """Return the share of all relevant documents among the first ``k``; None when none is relevant."""
    relevant = _relevant(gains)
    return sum(hits(ranking, gains, k)) / relevant if relevant else None


def hit(ranking: Sequence[str], gains: Mapping[str, float], k: int) -> bool:
    """Return whether any of the first ``k`` documents is relevant."""
    return any(hits(ranking, gains, k))


def reciprocal_rank(ranking: Sequence[str], gains: Mapping[str, float], k: int | None = None) -> float:
    """Return 1 / place of the first relevant document; 0.0 without one. Its mean over queries is MRR."""
    return next((1.0 / place for place, is_hit in enumerate(hits(ranking, gains, k), 1) if is_hit), 0.0)


def average_precision(ranking: Sequence[str], gains: Mapping[str, float], k: int | None = None) -> float | None:
    """Return the mean over all relevant documents of the precision where each stands (MAP is its mean over queries).

    One that is not in the list adds 0. None when none is relevant.
    """
    relevant, found, total = _relevant(gains), 0, 0.0
    for place, is_hit in enumerate(hits(ranking, gains, k), 1):
        if is_hit:
            found += 1
            total += found / place
    return total / relevant if relevant else None


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], k: int | None = None) -> float | None:
    """Return DCG over that of the best order, with the gain itself over log2(place + 1) (Järvelin and Kekäläinen 2002).

    None when none is relevant.
    """
    ideal = _dcg(sorted((gain for gain in gains.values() if gain > 0.0), reverse=True)[:k])
    return _dcg([max(0.0, gains.get(item, 0.0)) for item in _unique(ranking, k)]) / ideal if ideal else None


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _relevant(gains: Mapping[str, float]) -> int:
    return sum(gain > 0.0 for gain in gains.values())


def _unique(ranking: Sequence[str], k: int | None) -> list[str]:
    return list(dict.fromkeys(ranking))[:k]
