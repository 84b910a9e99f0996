"""METEOR of one answer (Banerjee and Lavie 2005), by NLTK: exact words, stems, and synonyms where WordNet is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from pilothouse.core.errors import ConfigError
from pilothouse.core.extras import require

Synonyms = bool | Literal["auto"]

_WORDS: Final = re.compile(r"\w+|[^\w\s]")


class _NoSynonyms:
    """Stands in WordNet's place: no word has another word for it."""

    def synsets(self, _word: str) -> list[Any]:
        return []


class Meteor:
    """METEOR with NLTK's parameters (alpha 0.9, beta 3, gamma 0.5), from 0 to 1; the best of several references.

    Texts are cut into words and single signs of punctuation.

    Args:
        synonyms: Also match synonyms, by the WordNet that NLTK finds (``NLTK_DATA``); nothing is downloaded. With
            ``auto``: where it finds one.

    Attributes:
        wordnet: The version of the WordNet that is used; None without one.

    Raises:
        ConfigError: when NLTK is not installed, or WordNet is asked for and not found.
    """

    def __init__(self, *, synonyms: Synonyms = False) -> None:
        self._nltk: Any = require("nltk.translate.meteor_score", extra="metrics", purpose="the evaluator 'meteor'")
        self._wordnet: Any = _NoSynonyms()
        self.wordnet: str | None = None
        if synonyms is False:
            return
        found = self._nltk.wordnet
        try:
            found.ensure_loaded()
        except LookupError as error:
            if synonyms == "auto":
                return
            raise ConfigError(
                "METEOR with synonyms needs WordNet, which NLTK does not find",
                fix="put it where NLTK_DATA points, or leave out synonyms: true",
            ) from error
        self._wordnet, self.wordnet = found, str(found.get_version())

    def score(self, answer: str, references: Sequence[str]) -> float:
        """Return METEOR of an answer; 0.0 when it or every reference is empty."""
        words = _WORDS.findall(answer)
        wanted = [found for reference in references if (found := _WORDS.findall(reference))]
        if not words or not wanted:
            return 0.0
        return float(self._nltk.meteor_score(wanted, words, wordnet=self._wordnet))
