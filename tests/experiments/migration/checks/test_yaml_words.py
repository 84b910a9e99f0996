"""Plain YAML words with another meaning here than where they were written for."""

from __future__ import annotations

import pytest

from pilothouse.experiments.migration.checks.yaml_words import check_words


def words(text: str, *, template: bool = False) -> list[int | None]:
    return [finding.line for finding in check_words(text, template=template)]


@pytest.mark.parametrize("word", ["2024-01-01", "2024-01-01T10:00:00", "1_000", "0b11"])
def test_words_that_prompt_flow_takes_for_something_else(word: str) -> None:
    assert words(f"a: 1\nb: {word}\n") == [2]


@pytest.mark.parametrize("word", ["yes", "Off", "012", "1:30"])
def test_words_that_only_the_template_takes_for_something_else(word: str) -> None:
    assert words(f"b: {word}\n") == []
    assert words(f"b: {word}\n", template=True) == [1]


@pytest.mark.parametrize("word", ["'2024-01-01'", '"yes"', "true", "10", "1.5", "gpt-4o", "v1_000", "|\n  yes", "1e3"])
def test_quoted_and_ordinary_words_are_left_alone(word: str) -> None:
    assert words(f"b: {word}\n", template=True) == []
