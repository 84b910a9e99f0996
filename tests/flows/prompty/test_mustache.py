"""Mustache templates."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.errors import FlowError
from pilothouse.flows.prompty.mustache import Mustache

PATH = Path("ask.prompty")


def rendered(text: str, **values: Any) -> str:
    return Mustache(text, PATH).render(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {{ name }}!", "Hello Ada!"),
        ("{{{name}}} {{&name}} {{html}}", "Ada Ada <b>&</b>"),
        ("[{{gone}}] [{{user.gone}}] [{{gone.more}}]", "[] [] []"),
        ("{{user.name}} ({{user.place.city}})", "Eva (Rome)"),
        ("{{#yes}}a{{/yes}}{{#no}}b{{/no}}{{^no}}c{{/no}}{{^gone}}d{{/gone}}{{#empty}}e{{/empty}}", "acd"),
        ("{{#items}}{{.}},{{/items}}", "1,2,"),
        ("{{#users}}{{name}} of {{team}};{{/users}}", "A of red;B of red;"),
        ("{{#user}}{{name}}{{#place}} in {{city}}{{/place}}{{/user}}", "Eva in Rome"),
        ("a{{! no }}b{{!\nno\n}}c", "abc"),
        ("{{=<% %>=}}<% name %>{{name}}<%={{ }}=%>{{name}}", "Ada{{name}}Ada"),
        ("a\n{{#yes}}\nb\n{{/yes}}\nc", "a\nb\nc"),
        ("a\n  {{! alone }}  \nb\n {{name}} \n", "a\nb\n Ada \n"),
        ("{{#yes}}\na\n{{/yes}}", "a\n"),
        ("{{flag}} {{number}} {{none}}", "true 0 "),
        ("", ""),
    ],
)
def test_a_template_is_filled_in(text: str, expected: str) -> None:
    values = {
        "name": "Ada",
        "html": "<b>&</b>",
        "team": "red",
        "yes": True,
        "no": False,
        "empty": [],
        "items": [1, 2],
        "user": {"name": "Eva", "place": {"city": "Rome"}},
        "users": [{"name": "A"}, {"name": "B"}],
        "flag": True,
        "number": 0,
        "none": None,
    }
    assert rendered(text, **values) == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n{{#b}}\nc", 2, "the section 'b' does not end"),
        ("a\n\n{{/b}}", 3, "the section 'b' ends, but did not begin"),
        ("{{#a}}\n{{#b}}\n{{/a}}", 3, "'a' ends, but did not begin"),
        ("a\n{{b", 2, "does not end"),
        ("{{a b}}", 1, "'a b' is not a name"),
        ("{{}}", 1, "'' is not a name"),
        ("{{> other}}", 1, "the partial 'other' is in no file"),
        ("{{#a}}" * 5000, 1, "more than 50 sections"),
        ("{{=a=}}", 1, "not a pair of delimiters"),
    ],
)
def test_a_broken_template_is_told_with_the_line_of_the_file(text: str, line: int, message: str) -> None:
    with pytest.raises(FlowError, match=message) as error:
        Mustache(text, PATH, skipped=4)
    assert f"ask.prompty:{line + 4}" in str(error.value)


def test_what_it_reads_from_outside_is_known() -> None:
    template = Mustache("{{b.c}} {{#list}}{{name}}{{/list}} {{^a}}{{d}}{{/a}} ![image]({{e}})", PATH)
    assert template.variables == ("b", "list", "a", "d", "e")
    assert template.images == {"e"}


@given(st.text(alphabet="{}#^/!=>&. ab\n"))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    with contextlib.suppress(FlowError):
        Mustache(text, PATH).render({"a": [{"b": 1}], "b": "x"})


@given(st.text())
def test_values_are_not_read_as_templates(value: str) -> None:
    assert rendered("{{a}}", a=value) == value
