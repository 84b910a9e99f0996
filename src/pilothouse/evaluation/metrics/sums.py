"""Figures over a corpus that follow from sums over its rows, and are not the mean of what each row is worth alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, Statistic

_BLEU_ORDERS: Final = 4
_CHRF_BETA: Final = 2.0
_MOST_EXPONENT: Final = 700.0
"""Above it a double overflows; no model is that bad."""


def ratio(sums: FloatArray) -> FloatArray:
    """Return part over whole of (m, 2) sums: a mean of (value, 1), an error rate of (errors, words)."""
    return _divide(sums[:, 0], sums[:, 1], np.nan)


def exp_ratio(sums: FloatArray) -> FloatArray:
    """Return e to the power of part over whole of (m, 2) sums: a perplexity of (nats, tokens)."""
    return np.exp(np.minimum(ratio(sums), _MOST_EXPONENT))


def percent_of_reference(sums: FloatArray) -> FloatArray:
    """Return TER of (m, 2) sums of edits and mean reference lengths, from 0, in per cent (Snover et al. 2006).

    Against an empty reference any edit is 100.
    """
    edits, length = sums[:, 0], sums[:, 1]
    return 100.0 * _divide(edits, length, (edits > 0).astype(np.float64))


def bleu(sums: FloatArray) -> FloatArray:
    """Return BLEU, 0 to 100, of (m, 10) sums: lengths of answer and reference, matched and all 1- to 4-grams.

    Papineni et al. 2002; an order without a match is smoothed as NIST's mteval-v13a does: the k-th such order has the
    precision 1 / (2^k x its n-grams).
    """
    answer, reference = sums[:, 0], sums[:, 1]
    matched, grams = sums[:, 2 : 2 + _BLEU_ORDERS], sums[:, 2 + _BLEU_ORDERS :]
    missed = matched <= 0
    halvings = np.cumsum(missed, axis=1).astype(np.float64)
    smoothed = _divide(np.exp2(-halvings), grams, 0.0)
    precision = np.where(missed, smoothed, _divide(matched, grams, 0.0))
    brevity = np.exp(np.minimum(0.0, 1.0 - _divide(reference, answer, np.inf)))
    logs = np.log(precision, out=np.full_like(precision, -np.inf), where=precision > 0).mean(axis=1)
    return np.where(missed.all(axis=1), 0.0, 100.0 * brevity * np.exp(logs))


def chrf(sums: FloatArray) -> FloatArray:
    """Return chrF2, 0 to 100, of (m, 3n) sums: for each order n-grams of the answer, of the reference, and in both.

    Popović 2015, with beta 2; orders that either side is too short for stay out of the averages.
    """
    parts = sums.reshape(len(sums), -1, 3)
    answer, reference, both = parts[..., 0], parts[..., 1], parts[..., 2]
    known = (answer > 0) & (reference > 0)
    orders = known.sum(axis=1)
    precision = _divide(np.where(known, _divide(both, answer, 0.0), 0.0).sum(axis=1), orders, 0.0)
    recall = _divide(np.where(known, _divide(both, reference, 0.0), 0.0).sum(axis=1), orders, 0.0)
    weight = _CHRF_BETA**2
    return 100.0 * _divide((1.0 + weight) * precision * recall, weight * precision + recall, 0.0)


def calibration_error(sums: FloatArray) -> FloatArray:
    """Return the expected calibration error of (m, bins + 1) sums: outcome - confidence in each bin, and rows.

    Naeini et al. 2015: the mean over rows of |accuracy - mean confidence| of the row's bin, from 0 to 1.
    """
    return _divide(np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1], np.nan)


def _divide(part: FloatArray, whole: FloatArray, undefined: FloatArray | float) -> FloatArray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), undefined)


STATISTICS: Final[dict[str, Statistic]] = {
    "ratio": ratio,
    "exp_ratio": exp_ratio,
    "ter": percent_of_reference,
    "bleu": bleu,
    "chrf": chrf,
    "ece": calibration_error,
}
"""What a metric of the kind ``sums`` may name as its statistic."""
