"""Real pairs of an answer and its reference; where they come from stands beside the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

Pairs = list[tuple[str, str]]


@pytest.fixture(scope="session")
def text_pairs() -> Pairs:
    """320 (answer, reference)."""
    lines = (Path(__file__).parents[1] / "data" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [(pair["answer"], pair["reference"]) for pair in map(json.loads, lines)]
