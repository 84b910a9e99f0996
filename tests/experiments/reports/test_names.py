"""Names of variants in a narrow table: cut, and never alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.experiments.reports.visible import clip_apart


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["zero", "few"], ["zero", "few"]),
        (["a-rather-long-name", "short"], ["a-rather-l…", "short"]),
        (["examples+t=0.0", "examples+t=0.7"], ["exa…s+t=0.0", "exa…s+t=0.7"]),
        (["examples+k=1+the+end", "examples+k=4+the+end"], ["exampl…1", "exampl…2"]),
    ],
)
def test_names_stay_apart(names: list[str], shown: list[str]) -> None:
    assert list(clip_apart(names, 11).values()) == shown


@given(st.lists(st.text(st.sampled_from("ab+="), max_size=30), max_size=40))
def test_whatever_they_are(names: list[str]) -> None:
    found = clip_apart(names, 12)

    assert set(found) == set(names)
    assert len(set(found.values())) == len(set(names))
    assert all(len(text) <= 12 for text in found.values())
