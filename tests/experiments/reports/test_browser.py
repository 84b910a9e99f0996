"""The page in a real browser, where one is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.reports.html import render

from .browser import CHROMIUM, Tab, browse

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

VISIBLE = "[...document.querySelectorAll('#row-table tbody tr')].filter((row) => !row.hidden).length"


@pytest.fixture
def look(
    found: ExperimentComparison, rows: list[RowView], tmp_path: Path
) -> Callable[[Callable[[Tab], Awaitable[Any]]], None]:
    path = tmp_path / "report.html"
    path.write_bytes(render(found, rows))

    def run(check: Callable[[Tab], Awaitable[Any]]) -> None:
        async def go() -> None:
            async with browse(path, tmp_path / "profile") as tab:
                await check(tab)

        asyncio.run(go())

    return run


Look = Callable[[Callable[[Tab], Awaitable[Any]]], None]


def test_it_opens_without_a_complaint_and_asks_for_nothing(look: Look) -> None:
    async def check(tab: Tab) -> None:
        assert await tab.value("document.title") == "sms: comparison of variants"
        assert await tab.value("document.scripts.length") == 1
        assert await tab.value("document.images.length") == 0
        assert tab.complaints() == []
        assert [url for url in tab.requests() if not url.startswith("file:")] == []

    look(check)


def test_numbers_lead_to_their_rows(look: Look) -> None:
    async def check(tab: Tab) -> None:
        assert await tab.value(VISIBLE) == 100
        await tab.value("document.querySelector('#rows p a').click()")
        assert await tab.value(VISIBLE) == 6
        assert await tab.value("location.hash") == "#rows"
        await tab.value("document.querySelector('#scores td a').click()")
        assert await tab.value(VISIBLE) == 5
        assert await tab.value("document.getElementById('shown').textContent") == "5 of 100 rows shown"
        await tab.value(
            "document.querySelector('#confusion svg a').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        )
        assert await tab.value(VISIBLE) == 94
        await tab.value("document.getElementById('clear').click()")
        assert await tab.value(VISIBLE) == 100

    look(check)


def test_rows_are_searched_and_filtered_by_hand(look: Look) -> None:
    async def check(tab: Tab) -> None:
        await tab.value(
            "var box = document.getElementById('find'); box.value = 'ONERROR'; box.dispatchEvent(new Event('input'))"
        )
        assert await tab.value(VISIBLE) == 1
        await tab.value("box.value = 'nowhere'; box.dispatchEvent(new Event('input'))")
        assert await tab.value("document.getElementById('nothing').hidden") is False
        await tab.value(
            "document.getElementById('clear').click(); state.value = 'f'; state.dispatchEvent(new Event('change'))"
        )
        assert await tab.value(VISIBLE) == 1

    look(check)


def test_the_theme_changes_and_nothing_overflows_a_narrow_screen(look: Look) -> None:
    async def check(tab: Tab) -> None:
        light = await tab.value("theme.click(), getComputedStyle(document.body).backgroundColor")
        dark = await tab.value("theme.click(), getComputedStyle(document.body).backgroundColor")
        assert light != dark
        await tab.send("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=False)
        assert await tab.value("document.documentElement.scrollWidth") <= 420
        await tab.send("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        assert await tab.value("document.documentElement.scrollWidth") <= 1280

    look(check)
