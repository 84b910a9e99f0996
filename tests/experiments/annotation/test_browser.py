"""The real command, the real browser: keys answer, nothing is fetched from elsewhere, nothing complains."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Choosing, Item, QueueSpec, Source

from ..reports.browser import CHROMIUM, Tab, browse

ITEMS = [
    Item(id=str(n), inputs={"text": "<img src=x onerror=alert(1)>"}, outputs={"a": "new"}, other={"a": "old"})
    for n in range(3)
]


@pytest.fixture
def address(services: Any) -> Iterator[str]:
    question = Question(question="Which is better?", kind="pairwise")
    spec = QueueSpec(name="q", question=question, source=Source(ref="r"), choosing=Choosing(rows=3, kept=3))
    services.get(ReviewService).create(spec, ITEMS)
    command = [sys.executable, "-m", "pilothouse", "review", "serve", "q", "--port", "0"]
    server = subprocess.Popen(command, cwd=services.root, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, line
    yield found[0]
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
    server.stdout.close()


async def press(tab: Tab, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        await tab.send("Input.dispatchKeyEvent", type=kind, key=key, text=key)


async def until(tab: Tab, condition: str) -> None:
    for _ in range(1500):
        if await tab.value(f"document.readyState == 'complete' && !!({condition})"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {condition}: {await tab.value('document.body.innerText')}")


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
def test_a_reviewer_goes_through_a_queue_with_the_keyboard_alone(address: str, services: Any, tmp_path: Path) -> None:
    async def review() -> None:
        async with browse(address, tmp_path / "profile") as tab:
            await tab.value("document.querySelector('input[name=name]').value = 'Ann'")
            await tab.value("document.querySelector('button.choice').click()")
            await until(tab, "document.querySelector('[data-key=\"1\"]')")
            assert "<img src=x onerror" in await tab.value("document.body.innerText")
            await press(tab, "?")
            await until(tab, "document.getElementById('keys').open")
            await press(tab, "1")  # the dialog takes the keys
            await tab.value("document.getElementById('keys').close()")
            await press(tab, "1")
            await until(tab, "document.body.innerText.includes('1 labelled by you')")
            await press(tab, "u")
            await until(tab, "document.body.innerText.includes('0 labelled by you')")
            await press(tab, "c")
            await tab.send("Input.insertText", text="1 is a word here")
            await tab.value("document.activeElement.blur()")
            await press(tab, "3")
            await until(tab, "document.body.innerText.includes('1 labelled by you')")
            await press(tab, "s")
            await until(tab, "document.body.innerText.includes('1 left for you')")
            await press(tab, "2")
            await until(tab, "document.body.innerText.includes('Nothing is left for you')")
            assert tab.complaints() == []
            assert {url.split("/")[2] for url in tab.requests() if not url.startswith("data:")} == {
                address.split("/")[2]
            }

    asyncio.run(review())
    reviews = services.get(ReviewService)
    history = reviews.history(reviews.get("q"))
    assert [label.state for label in history] == ["labelled", "withdrawn", "labelled", "skipped", "labelled"]
    assert (history[2].value, history[2].comment) == (0.5, "1 is a word here")
