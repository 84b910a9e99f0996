"""ROUGE of one answer, equal to Google's rouge-score; Lin 2004."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pilothouse.core.extras import require

KINDS: Final = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeL", "rougeLsum": "rougeLsum"}


class Rouge:
    """ROUGE-1, -2, -L and -Lsum, each as F1, precision and recall from 0 to 1; the best of several references by F1.

    Args:
        stemmer: Whether words are reduced to their stems (Porter's) first.

    Raises:
        ConfigError: when rapidrouge is not installed.
    """

    def __init__(self, *, stemmer: bool = False) -> None:
        rapidrouge = require("rapidrouge", extra="metrics", purpose="the evaluator 'rouge'")
        self._scorer: Any = rapidrouge.RougeScorer(list(KINDS), use_stemmer=stemmer)

    def scores(self, answer: str, references: Sequence[str]) -> dict[str, tuple[float, float, float]]:
        """Return name -> (F1, precision, recall)."""
        found = self._scorer.score_multi(list(references), answer)
        return {name: (score.fmeasure, score.precision, score.recall) for name, score in found.items()}
