"""Edit distances: word and character error rate, and likeness of texts."""

from __future__ import annotations

from typing import Any

from pilothouse.core.extras import require


class Edits:
    """Levenshtein's distance over words or characters.

    Raises:
        ConfigError: when rapidfuzz is not installed.
    """

    def __init__(self, purpose: str) -> None:
        self._levenshtein: Any = require("rapidfuzz.distance", extra="metrics", purpose=purpose).Levenshtein

    def word_errors(self, answer: str, reference: str) -> tuple[int, int]:
        """Return words to insert, delete or replace, and words of the reference; WER is the ratio of their sums."""
        wanted = reference.split()
        return int(self._levenshtein.distance(answer.split(), wanted)), len(wanted)

    def character_errors(self, answer: str, reference: str) -> tuple[int, int]:
        """Return the same of characters, white space around the texts left out; CER is the ratio of their sums."""
        wanted = reference.strip()
        return int(self._levenshtein.distance(answer.strip(), wanted)), len(wanted)

    def likeness(self, answer: str, reference: str) -> float:
        """Return 1 - distance / length of the longer text, from 0 to 1; two empty texts are alike.

        White space around the texts is left out.
        """
        return float(self._levenshtein.normalized_similarity(answer.strip(), reference.strip()))
