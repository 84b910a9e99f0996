"""How versions are written, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.errors import UserError
from pilothouse.registry.types import Reference, parse_reference

HOSTILE = [
    "",
    "/",
    "flow",
    "flow/",
    "/x",
    "flow//x",
    "flow/x/",
    "flow/../x",
    "flow/a..b",
    "flow/.hidden",
    "flow/-rf",
    "Flow/x",
    "fl ow/x",
    "flow/x y",
    "flow/x\n",
    "flow/x\0",
    "flow/naïve",
    "flow/x';DROP TABLE registry_versions;--",
    "flow/\x1b[31mred",
    "flow/" + "x" * 201,
    "flow/x:",
    "flow/x:0",
    "flow/x:-1",
    "flow/x:1.5",
    "flow/x:٣",
    "flow/x:99999999999999999999",
    "flow/x:1:2",
    "flow/x@",
    "flow/x@a b",
    "flow/x@3",
    "flow/x@a@b",
    "flow/x#abc",
    "flow/x#ABCD",
    "flow/x#abcd%",
    "flow/x#" + "a" * 65,
]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("dataset/sms-spam", Reference(kind="dataset", name="sms-spam")),
        ("dataset/sms-spam:3", Reference(kind="dataset", name="sms-spam", number=3)),
        ("flow/team/a_b.c@in-production", Reference(kind="flow", name="team/a_b.c", alias="in-production")),
        ("flow/x#0a1b", Reference(kind="flow", name="x", prefix="0a1b")),
        ("flow/" + "x" * 200, Reference(kind="flow", name="x" * 200)),
    ],
)
def test_the_four_forms(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize("text", HOSTILE)
def test_everything_else_is_refused_in_words_that_can_be_printed(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_reference(text)
    assert caught.value.expected
    assert all(line.isprintable() and len(line) < 250 for line in str(caught.value).split("\n"))


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(f"flow/{text}")
    except UserError:
        return
    assert reference.name
    assert ".." not in reference.name
    assert reference.name.isascii()
