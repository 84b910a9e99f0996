"""METEOR with synonyms against NLTK's own, with a WordNet that NLTK reads from files.

It runs in a process of its own: NLTK keeps the WordNet that it once found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.metrics.meteor import Meteor

from . import wordnet

PROGRAM = """
import json, sys
from nltk.translate.meteor_score import meteor_score, single_meteor_score
from pilothouse.evaluation.evaluators.builtin.overlap import Meteor as Evaluator
from pilothouse.evaluation.metrics.meteor import Meteor

pairs = json.load(sys.stdin)
ours, stems = Meteor(synonyms=True), Meteor()
print(json.dumps({
    "version": ours.wordnet,
    "ours": [ours.score(answer, [wanted]) for answer, wanted, *_ in pairs],
    "stems": [stems.score(answer, [wanted]) for answer, wanted, *_ in pairs],
    "nltk": [meteor_score([wanted], answer) if answer and wanted else 0.0 for _, _, answer, wanted in pairs],
    "auto": [Evaluator(synonyms="auto").metrics[0].name, Evaluator().metrics[0].name],
    "identities": [Evaluator(synonyms="auto").identity, Evaluator().identity],
}))
"""


def words(text: str) -> list[str]:
    """Words and signs, cut by hand: another way than the one under test."""
    found, word = [], ""
    for sign in text:
        if sign.isalnum() or sign == "_":
            word += sign
            continue
        found += [word] if word else []
        word = ""
        found += [] if sign.isspace() else [sign]
    return [*found, word] if word else found


def test_meteor_with_synonyms_is_nltks(text_pairs: list[tuple[str, str]], tmp_path: Path) -> None:
    wordnet.write(tmp_path / "corpora" / "wordnet")
    given = [(answer, wanted, words(answer), words(wanted)) for answer, wanted in text_pairs]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "NLTK_DATA": str(tmp_path)},  # noqa: TID251  the whole point is another environment
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert len(found["ours"]) == 320
    assert found["ours"] == pytest.approx(found["nltk"], abs=1e-9)
    # Synonyms do occur in the pairs: without them the figures are others.
    assert sum(a > b + 1e-9 for a, b in zip(found["ours"], found["stems"], strict=True)) >= 5
    assert found["version"] == "3.0"
    assert found["auto"] == ["meteor", "meteor_stem"]
    assert found["identities"] == ["wordnet 3.0", "wordnet None"]


def test_without_wordnet_auto_takes_words_and_stems() -> None:
    with pytest.raises(ConfigError, match="WordNet"):
        Meteor(synonyms=True)
    assert Meteor(synonyms="auto").wordnet is None
    assert Meteor(synonyms="auto").score("the cats sat", ["the cat sat"]) == Meteor().score(
        "the cats sat", ["the cat sat"]
    )
