"""The template `retrieval_qa` on the local model: eight variants over questions of a corpus, and the report they leave."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.packages import user_cache

from .reports.browser import CHROMIUM, Tab, browse

pytestmark = pytest.mark.local_model

ROWS = 2


def pilothouse(folder: Path, *arguments: str) -> str:
    cache = str(user_cache(Environment.load(Path("/"))))
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "PILOTHOUSE_CACHE": cache},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retrieval") / "qa"
    said = pilothouse(folder.parent, "init", "--template", "retrieval_qa", "qa")
    for command in ("model pull smollm2-135m-instruct", "dataset pull disfl-qa"):
        assert command in said
        pilothouse(folder, *command.split())
    return folder


@pytest.fixture(scope="module")
def finding(project: Path) -> dict[str, Any]:
    return json.loads(pilothouse(project, "experiment", "run", "experiment.yaml", "--rows", str(ROWS), "--json"))


def test_every_combination_is_asked_and_judged(project: Path, finding: dict[str, Any]) -> None:
    arms = finding["comparison"]["arms"]

    assert len(arms) == len({arm["variant"]["name"] for arm in arms}) == 8
    assert {arm["rows"] for arm in arms} == {ROWS}
    assert finding["calls"] == {"total": 8 * ROWS, "cached": 0}
    assert {arm["failed"] for arm in arms} == {0}
    for arm in arms:
        assert {"word_recall", "token_f1", "hit@1", "mrr"} <= set(arm["estimates"])
        assert arm["usage"]["input_tokens"] > 0
    assert [model["name"] for model in finding["comparison"]["models"]] == ["local/smollm2-135m-instruct"]
    # What is searched does not depend on the prompt or the temperature, only on how much is taken.
    hits = {arm["variant"]["settings"]["inputs.top_k"]: arm["estimates"]["hit@1"]["value"] for arm in arms}
    for arm in arms:
        assert arm["estimates"]["hit@1"]["value"] == hits[arm["variant"]["settings"]["inputs.top_k"]]
    again = json.loads(pilothouse(project, "experiment", "run", "experiment.yaml", "--rows", str(ROWS), "--json"))
    assert again["calls"] == {"total": 8 * ROWS, "cached": 8 * ROWS}
    assert again["comparison"]["arms"][0]["estimates"] == arms[0]["estimates"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_its_report_is_read_in_a_browser(project: Path, finding: dict[str, Any], tmp_path: Path) -> None:
    async def check(tab: Tab) -> None:
        assert tab.complaints() == []
        assert [url for url in tab.requests() if not url.startswith("file:")] == []
        shown = await tab.value("document.body.innerText")
        assert "ask.prompt" in shown
        assert "Trade-offs" in shown
        assert "temperature: 0.0 → 0.7" in shown
        assert "Apache-2.0" in shown
        assert await tab.value("document.querySelectorAll('#scores .plot').length") >= 2
        assert await tab.value("document.querySelectorAll('#tradeoffs .plot .mark').length") == 16
        assert await tab.value("document.querySelectorAll('#row-table tbody tr').length") == ROWS
        wide = await tab.value("document.documentElement.scrollWidth <= window.innerWidth")
        assert wide, "the page is wider than its window"

    async def go() -> None:
        page = project / "reports" / "retrieval-qa" / "1" / "report.html"
        assert page.is_file()
        async with browse(page, tmp_path / "profile") as tab:
            await check(tab)

    asyncio.run(go())
    assert finding["files"]["html"].endswith("reports/retrieval-qa/1/report.html")
