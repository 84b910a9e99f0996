"""BLEU, chrF and TER of one answer, by sacrebleu; the figure of a corpus follows from the sums of these parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from pilothouse.core.extras import require
from pilothouse.evaluation.metrics.sums import STATISTICS

Kind = Literal["bleu", "chrf", "ter"]

_CLASSES: Final = {"bleu": "BLEU", "chrf": "CHRF", "ter": "TER"}


class Translation:
    """A metric of sacrebleu.

    Args:
        kind: Which.
        options: Keyword arguments of sacrebleu's class that change what is counted: ``tokenize``, ``lowercase``,
            ``word_order`` and ``char_order`` of chrF, ``case_sensitive`` of TER.

    Attributes:
        signature: What makes figures comparable: sacrebleu's version and settings.

    Raises:
        ConfigError: when sacrebleu is not installed, or does not know an option.
    """

    def __init__(self, kind: Kind, **options: Any) -> None:
        metrics = require("sacrebleu.metrics", extra="metrics", purpose=f"the evaluator '{kind}'")
        self._metric: Any = getattr(metrics, _CLASSES[kind])(**options)
        self._statistic = STATISTICS[kind]
        # sacrebleu tells the number of references only after a corpus was seen.
        self._metric.num_refs = 1
        self.signature = str(self._metric.get_signature())

    def parts(self, answer: str, references: Sequence[str]) -> tuple[float, ...]:
        """Return what one answer adds to the sums of the corpus."""
        found = self._metric._extract_corpus_statistics([answer], [[reference] for reference in references])
        return tuple(map(float, found[0]))

    def value(self, parts: Sequence[float]) -> float:
        """Return the figure of a corpus that has these sums, or of one answer alone; 0 to 100, TER also above."""
        return float(self._statistic(np.array([parts], dtype=np.float64))[0])
