"""The evaluator `token_similarity`: likeness by the vectors of tokens. It is blind to negation.

``prediction`` is the answer, ``truth`` a reference or a list of them. No answer counts as an empty one.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.builtin.arguments import answer_text, references_of
from pilothouse.evaluation.metrics.similarity.encoder import open_encoder
from pilothouse.evaluation.metrics.similarity.matching import Match, Weights, match
from pilothouse.evaluation.metrics.similarity.measured import BASELINE, BLIND
from pilothouse.evaluation.types import Metric, Score
from pilothouse.models.providers.encoder import MOST_TOKENS, OFFLINE


class TokenSimilarity:
    """BERTScore's greedy matching with any encoder: mean precision, recall and F1; the best of several references.

    Args:
        root: The project's folder, which paths start from.
        encoder: ``minilm``, of the extra `similarity`, or a folder with `model.onnx` and `tokenizer.json`.
        download: Whether the tokenizer of ``minilm`` may be fetched, once.
        idf: A file of texts, one a line, whose inverse document frequencies weigh the tokens; by default all weigh 1.
        baseline: What unrelated texts score, for rescaling: ``precision``, ``recall`` and ``f1``; or a CSV file with
            the columns P, R, F, whose last row counts; or ``true`` for the measured one of ``minilm``.
        max_tokens: Tokens of a text that are looked at.
    """

    located = True

    def __init__(
        self,
        *,
        root: Path,
        encoder: str = OFFLINE,
        download: bool = False,
        idf: str = "",
        baseline: Any = None,
        max_tokens: int = MOST_TOKENS,
    ) -> None:
        self._encoder = open_encoder(root, encoder, download=download, most=max_tokens)
        self._baseline = _baseline(root, encoder, baseline)
        texts = _lines(root / idf) if idf else None
        self._weights = Weights.of(map(self._encoder.ids, texts)) if texts is not None else Weights()
        self.identity = digest([self._encoder.identity, texts, asdict(self._baseline) if self._baseline else None])
        self._told = {
            "encoder": f"{encoder} {self._encoder.identity[:12]}",
            "idf": idf or None,
            "baseline": asdict(self._baseline) if self._baseline is not None else None,
            "warning": BLIND,
        }
        self.metrics = tuple(
            Metric(
                name=f"token_similarity_{name}",
                score=f"token_similarity_{name}",
                kind="mean",
                # A rescaled score falls below 0 where texts are less alike than unrelated ones.
                worst=0.0,
                bounds=(self._lowest(name), 1.0),
            )
            for name in ("f1", "precision", "recall")
        )

    def _lowest(self, name: str) -> float:
        """Return what texts of opposite vectors score."""
        opposite = Match(precision=-1.0, recall=-1.0, f1=-1.0)
        lowest = opposite if self._baseline is None else opposite.rescaled(self._baseline)
        return float(asdict(lowest)[name])

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        answer = self._encoder.tokens(answer_text(prediction))
        references = [self._encoder.tokens(text) for text in references_of(truth)]
        found = [item for reference in references if (item := match(answer, reference, self._weights)) is not None]
        evidence = {**self._told, "cut_tokens": answer.cut + sum(reference.cut for reference in references)}
        if not found:
            why = {**evidence, "why": "every token occurs in all texts of the idf file"}
            return [Score(name=metric.name, state="abstained", evidence=why) for metric in self.metrics]
        if self._baseline is not None:
            found = [item.rescaled(self._baseline) for item in found]
        # As in bert-score, each part is the best of all references.
        return [
            Score(name=f"token_similarity_{name}", value=max(asdict(item)[name] for item in found), evidence=evidence)
            for name in ("f1", "precision", "recall")
        ]


def _baseline(root: Path, encoder: str, given: Any) -> Match | None:
    """Return the baseline that the options name.

    Raises:
        ConfigError: when it is none, or the measured one is not that of the encoder.
    """
    if given is None or given is False:
        return None
    if given is True:
        if encoder != OFFLINE:
            raise ConfigError(
                f"no baseline was measured for the encoder '{encoder}'",
                fix="give its numbers: baseline: {precision: ..., recall: ..., f1: ...}",
            )
        return BASELINE
    if isinstance(given, str):
        given = _of_file(root / given)
    try:
        found = msgspec.convert(given, Match)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the baseline is {given!r}", expected="precision, recall and f1, a CSV file, or true"
        ) from error
    if max(found.precision, found.recall, found.f1) >= 1.0:
        raise ConfigError(f"the baseline is {asdict(found)}", expected="numbers below 1")
    return found


def _of_file(path: Path) -> dict[str, float]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            *_, last = csv.DictReader(lines)
        return {"precision": float(last["P"]), "recall": float(last["R"]), "f1": float(last["F"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "the baseline cannot be read", where=str(path), expected="a CSV file with the columns P, R, F and a row"
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        texts = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeError) as error:
        raise ConfigError("the texts for idf cannot be read", where=str(path), expected="one text a line") from error
    if not texts:
        raise ConfigError("the file for idf holds no text", where=str(path), expected="one text a line")
    return texts
