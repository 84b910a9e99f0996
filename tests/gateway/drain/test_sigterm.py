"""SIGTERM in the middle of many answers: each is finished, the ledger holds each once, and nobody new is taken in."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from ..mock.upstream import MockUpstream

STREAMS, WHOLE, TOKENS = 40, 20, 60
PROGRAM = [sys.executable, "-c", "from pilothouse.cli.main import main; main()"]
ROUTES = {"paced": f"mock-in=10-tokens={TOKENS}-pace=15", "waiting": "mock-in=10-tokens=4-first=700"}


def write_project(folder: Path, mock: str) -> None:
    routes = {name: {"deployments": [{"connection": "mock", "model": model}]} for name, model in ROUTES.items()}
    prices = [{"model": model, "input": 1.0, "output": 4.0} for model in ROUTES.values()]
    limits = [{"name": "money", "dollars": 100, "per": "total"}, {"name": "at-once", "concurrency": 1000}]
    settings = {
        "gateway": {"port": 0, "access": "open", "routes": routes, "limits": limits},
        "models": {"prices": prices},
    }
    (folder / "pilothouse.yaml").write_text(json.dumps(settings))
    (folder / "connections").mkdir()
    connection = {"type": "open_ai", "base_url": f"{mock}/v1", "api_key": "${env:MOCK_KEY}"}
    (folder / "connections" / "mock.yaml").write_text(json.dumps(connection))
    (folder / ".env").write_text("MOCK_KEY=sk-upstream\n")


async def stream(session: aiohttp.ClientSession, url: str, begun: asyncio.Queue[None]) -> str:
    """Return the text of a whole stream; nothing of a broken one."""
    body = {"model": "paced", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    text, ended, told = "", False, False
    async with session.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if line.startswith(b"data: {"):
                text += "".join(one["delta"].get("content") or "" for one in json.loads(line[6:])["choices"])
            ended |= line == b"data: [DONE]\n"
            if text and not told:
                told = True
                begun.put_nowait(None)
    return text if ended else ""


async def whole(session: aiohttp.ClientSession, url: str) -> int:
    body = {"model": "waiting", "messages": [{"role": "user", "content": "hello"}]}
    async with session.post(url, json=body) as answer:
        await answer.read()
        return answer.status


async def refused(url: str) -> bool:
    """Tell whether a new client is turned away: by nobody who listens, or in words."""
    try:
        async with aiohttp.ClientSession() as session:
            return await whole(session, url) == 503
    except aiohttp.ClientError:
        return True


async def ended_in_mid_answer(folder: Path) -> dict[str, Any]:
    async with MockUpstream() as mock:
        write_project(folder, mock.url)
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "gateway", "serve", cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            said = (await process.stdout.readline()).decode().split()
            url = next(word for word in said if word.startswith("http")) + "/chat/completions"
            begun: asyncio.Queue[None] = asyncio.Queue()
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                streams = [asyncio.create_task(stream(session, url, begun)) for _ in range(STREAMS)]
                for _ in range(STREAMS):
                    await begun.get()
                waiting = [asyncio.create_task(whole(session, url)) for _ in range(WHOLE)]
                while mock.bill.count("requests") < STREAMS + WHOLE:
                    await asyncio.sleep(0.005)
                process.send_signal(signal.SIGTERM)
                texts = await asyncio.gather(*streams)
                statuses = await asyncio.gather(*waiting)
                turned_away = await refused(url)
            _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        bill = mock.bill.report()
    return {
        "texts": texts,
        "statuses": statuses,
        "turned_away": turned_away,
        "exit": process.returncode,
        "errors": errors.decode(),
        "bill": bill,
    }


def ledger(folder: Path) -> list[dict[str, Any]]:
    command = [*PROGRAM, "gateway", "ledger", "list", "--limit", "1000", "--json"]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return json.loads(said.stdout)["calls"]


def test_no_answer_is_cut_by_an_end(tmp_path: Path) -> None:
    found = asyncio.run(ended_in_mid_answer(tmp_path))
    assert found["exit"] == 0, found["errors"]
    ends = {text.rpartition(" ")[2] for text in found["texts"]}
    assert ends == {str(TOKENS - 1)}, "every stream came to its end"
    assert found["statuses"] == [200] * WHOLE
    assert found["turned_away"]
    assert found["bill"]["served"] == STREAMS + WHOLE
    assert found["bill"]["aborted"] == 0
    rows = [row["entry"] for row in ledger(tmp_path)]
    assert len(rows) == STREAMS + WHOLE
    assert sum(row["cost"] for row in rows) == found["bill"]["cost"]
