"""The page in a headless browser: asks, streams, keeps the history, shows everything as text."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ...experiments.reports.browser import CHROMIUM, Tab, browse
from ..building import FakeModels, Project, llm, python, tool
from .serving import run, served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> **bold** </div>"


async def visit(tab: Tab, address: str) -> None:
    await tab.send("Page.navigate", url=address)
    async with asyncio.timeout(30):
        while await tab.value("location.href + document.readyState") != f"{address}/complete":
            await asyncio.sleep(0.02)
        while not await tab.value("document.getElementById('go')?.textContent !== ''"):
            await asyncio.sleep(0.02)


async def until(tab: Tab, expression: str) -> Any:
    async with asyncio.timeout(30):
        while not (found := await tab.value(expression)):
            await asyncio.sleep(0.02)
    return found


async def say(tab: Tab, text: str) -> None:
    await tab.value(
        f"document.getElementById('message').focus(), document.getElementById('message').value = {json.dumps(text)}"
    )
    for kind in ("keyDown", "keyUp"):
        await tab.send(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
        )


def blank(folder: Path) -> Path:
    page = folder / "blank.html"
    page.write_text("<!doctype html><title>x</title>")
    return page


def test_a_talk_on_the_page(project: Project, tmp_path: Path) -> None:
    path = project.flow(
        [llm("ask", inputs={"q": "${inputs.question}", "h": "${inputs.chat_history}"})],
        inputs={"question": {"type": "string", "is_chat_input": True}, "chat_history": {"type": "list", "is_chat_history": True},
                "mood": {"type": "string", "default": "calm"}},
        outputs={"answer": {"type": "string", "reference": "${ask.output}", "is_chat_output": True}},
        files={"ask.jinja2": "user:\n{{q}} [{{h|length}}]\n"}, name="<b>Harbour</b>",
    )  # fmt: skip

    async def go() -> None:
        async with served(path, models=FakeModels()) as server, browse(blank(tmp_path), tmp_path / "profile") as tab:
            await visit(tab, server.address)
            await say(tab, HOSTILE)
            await until(tab, "document.querySelectorAll('.facts button').length === 2")
            assert (await tab.value("document.querySelector('.value').textContent")).strip() == f"{HOSTILE} [0]"
            assert await tab.value("document.querySelector('.said').textContent") == HOSTILE
            assert await tab.value("document.querySelectorAll('main img, main script, h1 b').length") == 0
            facts = await tab.value("document.querySelector('.facts').textContent")
            (scored,) = server.spans("POST /score")
            assert f"{scored.context.trace_id:032x}" in facts
            assert "10 tokens in, 2 out" in facts
            await say(tab, "again")
            await until(tab, "document.querySelectorAll('.facts button').length === 4")
            assert "again [1]" in await tab.value("document.querySelectorAll('.value')[1].textContent")
            await tab.value("document.querySelectorAll('.facts button')[1].click()")
            await until(tab, "document.querySelector('.facts button[aria-pressed=true]')?.textContent")
            (feedback,) = server.spans("promptflow-feedback")
            assert feedback.parent is not None
            assert feedback.parent.span_id == scored.context.span_id
            assert dict(feedback.attributes or {})["thumb"] == "down"
            await tab.value("document.getElementById('fresh').click()")
            await say(tab, "anew")
            await until(tab, "document.querySelectorAll('.facts button').length === 2")
            assert "anew [0]" in await tab.value("document.querySelector('.value').textContent")
            assert tab.complaints() == []
            assert all(url.startswith((server.address, "file:", "data:", "about:")) for url in tab.requests())

    run(go())


def test_a_form_of_typed_fields(project: Project, tmp_path: Path) -> None:
    inputs = {"text": "string", "count": {"type": "int", "default": 2}, "ratio": "double", "loud": "bool",
              "rows": "list", "more": {"type": "object", "default": {"a": 1}}}  # fmt: skip
    path = project.flow(
        [python("work", inputs={name: f"${{inputs.{name}}}" for name in inputs})], inputs=inputs,
        outputs={"all": "${work.output}"},
        files={"work.py": tool("work", "text, count, ratio, loud, rows, more", "return [text, count, ratio, loud, rows, more]" )},
    )  # fmt: skip

    async def go() -> None:
        async with served(path) as server, browse(blank(tmp_path), tmp_path / "profile") as tab:
            await visit(tab, server.address)
            fill = "(name, value) => document.querySelector(`[name=${name}]`).value = value"
            for name, value in {"text": "hi", "ratio": "0.5", "rows": "[1, 2"}.items():
                await tab.value(f"({fill})({json.dumps(name)}, {json.dumps(value)})")
            await tab.value("document.querySelector('[name=loud]').click(), document.getElementById('go').click()")
            assert "rows is not JSON" in await until(
                tab,
                "document.getElementById('hint').textContent.includes('JSON') && document.getElementById('hint').textContent",
            )
            await tab.value(f"({fill})('rows', '[1, 2]'), document.getElementById('go').click()")
            shown = await until(
                tab, "document.querySelector('.facts code') && document.querySelector('.value').textContent"
            )
            assert json.loads(shown) == ["hi", 2, 0.5, True, [1, 2], {"a": 1}]
            assert tab.complaints() == []

    run(go())


def test_a_failure_names_its_node(project: Project, tmp_path: Path) -> None:
    path = project.flow([python("work")], outputs={"out": "${work.output}"},
                        files={"work.py": tool("work", "", "raise ValueError('<i>no</i>')")})  # fmt: skip

    async def go() -> None:
        async with served(path) as server, browse(blank(tmp_path), tmp_path / "profile") as tab:
            await visit(tab, server.address)
            await tab.value("document.getElementById('go').click()")
            shown = await until(tab, "document.querySelector('.error')?.textContent")
            assert shown == "node 'work' failed: ValueError: <i>no</i>"

    run(go())


def test_the_policy_lets_nothing_in(project: Project) -> None:
    path = project.flow([python("work")], files={"work.py": tool("work", "", "return 1")}, name='"><script>alert(1)</script>',
                        outputs={"out": "${work.output}"})  # fmt: skip

    async def go() -> None:
        async with served(path) as server:
            status, text, headers = await server.get("/")
            assert (status, "<script>alert" in text) == (200, False)
            assert headers["content-security-policy"].startswith(
                "default-src 'none'; script-src 'self'; style-src 'self'"
            )
            assert headers["x-content-type-options"] == "nosniff"
            for name in ("page.js", "form.js", "page.css"):
                assert (await server.get(f"/page/{name}"))[0] == 200

    run(go())
