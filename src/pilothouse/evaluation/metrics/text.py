"""Metrics of short answers against a reference, with the normalisation of SQuAD's evaluation script.

Rajpurkar et al. 2016: lower case, punctuation out, articles out, white space joined; F1 over the bag of tokens.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """Return ``text`` in lower case without ASCII punctuation and English articles, words one space apart."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, references: Iterable[str], *, strict: bool = False) -> bool:
    """Return whether the answer equals a reference: normalised, or with ``strict`` to the letter."""
    if strict:
        return answer in set(references)
    return normalise(answer) in {normalise(reference) for reference in references}


def token_f1(answer: str, reference: str) -> float:
    """Return F1 between the normalised tokens of answer and reference; two empty texts agree fully (1.0)."""
    found, wanted = normalise(answer).split(), normalise(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2.0 * shared / (len(found) + len(wanted))


def best_token_f1(answer: str, references: Iterable[str]) -> float:
    """Return the highest `token_f1` over several accepted references; 0.0 without any."""
    return max((token_f1(answer, reference) for reference in references), default=0.0)
