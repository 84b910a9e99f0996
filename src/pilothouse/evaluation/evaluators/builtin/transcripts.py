"""Evaluators of transcripts: word and character error rate of the corpus, and likeness of each text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.evaluation.evaluators.builtin.arguments import answer_text, references_of
from pilothouse.evaluation.metrics.edits import Edits
from pilothouse.evaluation.types import Metric, Score

_Errors = Callable[[str, str], tuple[int, int]]


class _ErrorRate:
    """Errors over length, summed over all rows: long texts weigh more, as is usual for error rates."""

    inline = True

    def __init__(self, name: str, errors: _Errors) -> None:
        self._errors = errors
        self.metrics = (Metric(name=name, kind="sums", statistic="ratio", better="lower"),)

    def __call__(self, prediction: Any, truth: Any) -> Score:
        """Judge one row; of several references the one with the fewest errors counts."""
        return self._score(answer_text(prediction), truth)

    def on_failure(self, arguments: Mapping[str, Any]) -> Score:
        """Return the sums of an empty answer: every word of the reference is missing."""
        return self._score("", arguments.get("truth"))

    def _score(self, answer: str, truth: Any) -> Score:
        errors, length = min(
            (self._errors(answer, reference) for reference in references_of(truth)),
            key=lambda found: found[0] / max(found[1], 1),
        )
        return Score(value=errors / length if length else float(errors), sums=(errors, length))


class WordErrorRate(_ErrorRate):
    """Word error rate of the corpus, from 0; above 1 is possible. Words are what white space divides."""

    def __init__(self) -> None:
        super().__init__("wer", Edits("the evaluator 'wer'").word_errors)


class CharacterErrorRate(_ErrorRate):
    """Character error rate of the corpus, from 0."""

    def __init__(self) -> None:
        super().__init__("cer", Edits("the evaluator 'cer'").character_errors)


class Likeness:
    """Mean of 1 - Levenshtein distance / length of the longer text, 0 to 1; the best of several references."""

    inline = True
    metrics = (Metric(name="likeness", kind="mean", worst=0.0, bounds=(0.0, 1.0)),)

    def __init__(self) -> None:
        self._edits = Edits("the evaluator 'likeness'")

    def __call__(self, prediction: Any, truth: Any) -> float:
        """Judge one row."""
        answer = answer_text(prediction)
        return max(self._edits.likeness(answer, reference) for reference in references_of(truth))
