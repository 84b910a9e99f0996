"""Evaluators that compare a text with reference texts word by word: BLEU, chrF, TER, ROUGE, METEOR.

``prediction`` is the answer, ``truth`` a reference or a list of them. No answer counts as an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.builtin.arguments import answer_text, references_of
from pilothouse.evaluation.metrics.meteor import Meteor as MeteorScorer
from pilothouse.evaluation.metrics.meteor import Synonyms
from pilothouse.evaluation.metrics.rouge import KINDS
from pilothouse.evaluation.metrics.rouge import Rouge as RougeScorer
from pilothouse.evaluation.metrics.translation import Kind, Translation
from pilothouse.evaluation.types import Direction, Metric, Score


class _OfCorpus:
    """A figure of sacrebleu: its value is that of the whole corpus, each row's score that of the row alone."""

    inline = True

    def __init__(
        self, kind: Kind, better: Direction, bounds: tuple[float, float] | None, options: dict[str, Any]
    ) -> None:
        try:
            self._metric = Translation(kind, **options)
        except (TypeError, KeyError, ImportError) as error:
            given = ", ".join(f"{name}={value!r}" for name, value in options.items())
            raise ConfigError(f"sacrebleu refuses the options of '{kind}' ({given}): {error}") from error
        self._kind = kind
        self.metrics = (Metric(name=kind, kind="sums", statistic=kind, better=better, bounds=bounds),)

    def __call__(self, prediction: Any, truth: Any) -> Score:
        """Judge one row."""
        parts = self._metric.parts(answer_text(prediction), references_of(truth))
        return Score(value=self._metric.value(parts), sums=parts, evidence={"signature": self._metric.signature})

    def on_failure(self, arguments: Mapping[str, Any]) -> Score:
        """Return the sums of an empty answer."""
        return Score(sums=self._metric.parts("", references_of(arguments.get("truth"))))


class Bleu(_OfCorpus):
    """BLEU of the corpus, 0 to 100, as sacrebleu computes it.

    Args:
        tokenize: sacrebleu's tokenizer: ``13a``, ``intl``, ``zh`` or ``char``; others need more packages or a download.
        lowercase: Ignore case.
    """

    def __init__(self, *, tokenize: str = "13a", lowercase: bool = False) -> None:
        super().__init__("bleu", "higher", (0.0, 100.0), {"tokenize": tokenize, "lowercase": lowercase})


class Chrf(_OfCorpus):
    """chrF2 of the corpus, 0 to 100; chrF++ with ``word_order=2``.

    Args:
        word_order: Longest n-gram of words that counts beside those of characters.
        lowercase: Ignore case.
    """

    def __init__(self, *, word_order: int = 0, lowercase: bool = False) -> None:
        super().__init__("chrf", "higher", (0.0, 100.0), {"word_order": word_order, "lowercase": lowercase})


class Ter(_OfCorpus):
    """Translation edit rate of the corpus: edits per 100 words of reference; lower is better, above 100 is possible.

    Args:
        case_sensitive: Whether case matters.
    """

    def __init__(self, *, case_sensitive: bool = False) -> None:
        super().__init__("ter", "lower", None, {"case_sensitive": case_sensitive})


class Rouge:
    """Mean F1 of ROUGE-1, -2, -L and -Lsum, 0 to 1; precision and recall are the evidence.

    Args:
        stemmer: Whether words are reduced to their stems (Porter's) first.
    """

    inline = True
    metrics = tuple(Metric(name=name, score=name, kind="mean", worst=0.0, bounds=(0.0, 1.0)) for name in KINDS)

    def __init__(self, *, stemmer: bool = False) -> None:
        self._scorer = RougeScorer(stemmer=stemmer)

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        found = self._scorer.scores(answer_text(prediction), references_of(truth))
        return [
            Score(name=name, value=f1, evidence={"precision": precision, "recall": recall})
            for name, (f1, precision, recall) in found.items()
        ]


class Meteor:
    """Mean METEOR, 0 to 1: exact words and stems, and synonyms where WordNet is installed and asked for.

    The figure is ``meteor`` with synonyms and ``meteor_stem`` without: the two are not comparable.

    Args:
        synonyms: Match synonyms too; with ``auto``, where NLTK finds WordNet.
    """

    inline = True

    def __init__(self, *, synonyms: Synonyms = False) -> None:
        if synonyms not in (True, False, "auto"):
            raise ConfigError(f"synonyms is {synonyms!r}", expected="true, false or auto")
        self._scorer = MeteorScorer(synonyms=synonyms)
        self.identity = f"wordnet {self._scorer.wordnet}"
        name = "meteor" if self._scorer.wordnet is not None else "meteor_stem"
        self.metrics = (Metric(name=name, kind="mean", worst=0.0, bounds=(0.0, 1.0)),)

    def __call__(self, prediction: Any, truth: Any) -> float:
        """Judge one row."""
        return self._scorer.score(answer_text(prediction), references_of(truth))
