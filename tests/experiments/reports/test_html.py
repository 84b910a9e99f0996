"""The page: complete in itself, inert against what it shows, sound as a document."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from msgspec import structs

from pilothouse.experiments.comparison import Answer, Arm, ExperimentComparison, RowView
from pilothouse.experiments.reports.html import render

from .conftest import HOSTILE, row

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """Every element of a page, its attributes and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open[-1] == tag, (self.open[-3:], tag)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]].append(data)
        else:
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


@pytest.fixture
def page(found: ExperimentComparison, rows: list[RowView]) -> Page:
    return Page(render(found, rows).decode())


def test_every_element_is_closed_where_it_was_opened(page: Page) -> None:
    assert page.open == []
    assert (page.tags["h1"], page.tags["main"], page.tags["title"] - page.tags["svg"] > 0) == (1, 1, True)


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert not page.values("src")
    assert page.tags["link"] == page.tags["iframe"] == page.tags["object"] == page.tags["img"] == page.tags["form"] == 0
    assert {value for value in page.values("href") if not value.startswith("#")} == {"rows.csv"}
    for text in (*page.raw["style"], *page.raw["script"]):
        assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch|XMLHttp|WebSocket|import\(", text)


def test_only_the_page_s_own_script_and_style_may_run(page: Page) -> None:
    policy = next(
        value for tag, name, value in page.attributes if tag == "meta" and name == "content" and "default-src" in value
    )
    assert policy.startswith("default-src 'none'")
    for kind in ("script", "style"):
        assert page.tags[kind] == 1
        content = "".join(page.raw[kind])
        expected = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{expected}'" in policy
    assert not page.values("style")
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_hostile_text_is_shown_as_text(found: ExperimentComparison, rows: list[RowView], page: Page) -> None:
    shown = "".join(page.text)
    assert "<script>alert(1)</script>" in shown
    assert "</style></script><img src=x onerror=alert(2)>" in shown
    assert "{{ 7 * 7 }}" in shown
    source = render(found, rows).decode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x07\ud800-\udfff]", source)
    for number in ("U+202E", "U+200B", "U+E0041", "U+0000", "U+0007", "U+D800"):
        assert number in shown


def test_every_link_inside_the_page_has_its_target(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(ids)
    assert set(page.values("for")) <= set(ids)


def test_plots_and_tables_have_names_for_a_screen_reader(page: Page) -> None:
    labels = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    hidden = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-hidden"]
    assert len(labels) + len(hidden) == page.tags["svg"]
    assert "accuracy of every variant" in labels
    headers = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
    assert len(headers) == page.tags["th"]
    scrolls = [value for _, name, value in page.attributes if name == "role" and value == "region"]
    assert len(scrolls) == len([value for _, name, value in page.attributes if name == "tabindex" and value == "0"])


def test_figures_of_rows_are_there_to_be_filtered(page: Page) -> None:
    states = [value for _, name, value in page.attributes if name == "data-state"]
    assert len(states) == 100
    assert Counter(states) == {"rr": 94, "wr": 5, "fr": 1}
    assert page.values("data-differ").count("1") == 6


def test_a_hundred_rows_of_three_variants_stay_below_500_kb(found: ExperimentComparison, rows: list[RowView]) -> None:
    third = structs.replace(found.arms[1], variant=structs.replace(found.arms[1].variant, name="third"))
    wide = [structs.replace(item, answers=(*item.answers, item.answers[1])) for item in rows]
    assert len(render(structs.replace(found, arms=(*found.arms, third)), wide)) < 500_000


def test_ten_thousand_rows_are_capped_and_counted(found: ExperimentComparison) -> None:
    text = "words " * 60
    many = (row(index, text, right=index % 100 != 0, failed=index == 5555) for index in range(10_000))
    data = render(structs.replace(found, rows=10_000), many)
    page = Page(data.decode())
    shown = "".join(page.text)
    assert len(data) < 2_000_000
    assert "9,600 more are in" in shown
    states = page.values("data-state")
    assert (len(states), states.count("wr"), states.count("fr")) == (400, 100, 1)


def test_a_single_arm_and_no_rows_make_a_page_too(quiet: ExperimentComparison) -> None:
    shown = "".join(Page(render(structs.replace(quiet, rows=0), []).decode()).text)
    assert "There are no rows." in shown
    assert "Differences from" not in shown
    assert "None: every row of every variant has an answer." in shown


def test_an_arm_that_was_not_measured_is_said_not_to_be(found: ExperimentComparison, rows: list[RowView]) -> None:
    empty: Arm = structs.replace(
        found.arms[1],
        estimates={},
        confusions=(),
        latency=structs.replace(found.arms[1].latency, p50=None, p95=None, curve=(), n=0),
    )
    shown = "".join(Page(render(structs.replace(found, arms=(found.arms[0], empty)), rows).decode()).text)
    assert shown.count("not measured") >= 3


def test_a_row_that_one_arm_lacks_is_shown_as_lacking(found: ExperimentComparison) -> None:
    lacking = RowView(
        id="a", number=0, inputs={"x": 1, "y": [2]}, answers=(None, Answer(outputs={"n": 3}, primary=0.4))
    )
    shown = "".join(Page(render(found, [lacking]).decode()).text)
    assert "no such row" in shown
    assert "[2]" in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_cannot_leave_an_attribute(found: ExperimentComparison, rows: list[RowView], text: str) -> None:
    """Arms of `experiment compare` are named by runs, labels by data."""
    report = structs.replace(found.arms[0].confusions[0].report, labels=(text, "spam"))
    arms = (
        structs.replace(found.arms[0], confusions=(structs.replace(found.arms[0].confusions[0], report=report),)),
        found.arms[1],
    )
    source = render(structs.replace(found, arms=arms), rows).decode()
    page = Page(source)
    assert page.open == []
    assert not re.search("[\u202a-\u202e\u200b\x00\ud800-\udfff]", source)
    assert page.tags["script"] == page.tags["style"] == 1
    assert page.tags["img"] == 0
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
