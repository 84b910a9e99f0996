"""What a served flow holds out: many clients that stream at once, memory over time, and an end in mid-stream.

    python benchmarks/serving.py [--clients 200] [--minutes 0.5] [--promptflow-python /path/to/python] [--json]

A model on the loopback streams numbered frames; every client checks that all of its frames come, in their order. At the
end the server is told to end while all clients are in the middle of an answer. With `--promptflow-python`, requests per
second and CPU time per request of `pf flow serve` with both of its engines are measured beside ours on one flow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

SAMPLE_SECONDS = 5.0
TICKS = os.sysconf("SC_CLK_TCK")
CHAT = """
inputs:
  question: {type: string}
outputs:
  answer: {type: string, reference: "${ask.output}"}
nodes:
  - name: ask
    type: llm
    source: {type: code, path: ask.jinja2}
    connection: loopback
    api: chat
    inputs: {model: numbers, question: "${inputs.question}"}
"""
ECHO = """
inputs:
  text: {type: string}
outputs:
  answer: {type: string, reference: "${echo.output}"}
nodes:
  - name: echo
    type: python
    source: {type: code, path: echo.py}
    inputs: {text: "${inputs.text}"}
"""
TOOL = "from promptflow.core import tool\n\n\n@tool\ndef echo(text: str) -> str:\n    return text.upper()\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=0.5, help="10 is the full form")
    parser.add_argument("--frames", type=int, default=40, help="frames of one answer")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two frames")
    parser.add_argument("--promptflow-python", help="a Python with promptflow installed, to compare with")
    parser.add_argument("--promptflow-path", default="", help="a folder with what it lacks, such as uvicorn")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement of that comparison")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON alone")
    parser.add_argument("--model-port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model_port:
        run_model(arguments.model_port, arguments.frames, arguments.pause)
        return
    with tempfile.TemporaryDirectory() as name:
        found = {"streams": asyncio.run(streams(Path(name), arguments))}
        if arguments.promptflow_python:
            found["compared"] = asyncio.run(compared(Path(name), arguments))
    print(json.dumps(found, indent=None if arguments.json else 2))


# The model


def run_model(port: int, frames: int, pause: float) -> None:
    """Stream numbered frames, and count those that were sent for each question."""
    sent: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        question = body["messages"][-1]["content"]
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(frames):
            delta = {"index": 0, "delta": {"content": f"{question}/{number} "}}
            await response.write(
                f"data: {json.dumps({'id': 'x', 'model': 'numbers', 'choices': [delta]})}\n\n".encode()
            )
            sent[question] += 1
            await asyncio.sleep(pause)
        usage = {"prompt_tokens": 1, "completion_tokens": frames}
        await response.write(
            f"data: {json.dumps({'id': 'x', 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode()
        )
        return response

    async def counts(request: web.Request) -> web.Response:
        return web.json_response({"answers": len(sent), "frames": sum(sent.values())})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", answer), web.get("/counts", counts)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, backlog=2048)


# Streams


async def streams(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what became of all frames, and the server's memory over time."""
    model_port, port = free_port(), free_port()
    project(folder / "chat", CHAT, {"ask.jinja2": "user:\n{{question}}\n"})
    connections = folder / "connections"
    connections.mkdir(exist_ok=True)
    (connections / "loopback.yaml").write_text(
        f"name: loopback\ntype: open_ai\nbase_url: http://127.0.0.1:{model_port}/v1\napi_key: ${{env:BENCH_KEY}}\n"
    )
    (folder / "pilothouse.yaml").write_text("models: {concurrency: {ceiling: 1000}}\n")
    model = subprocess.Popen(
        [sys.executable, __file__, "--model-port", str(model_port),
         "--frames", str(arguments.frames), "--pause", str(arguments.pause)],
    )  # fmt: skip
    server = serve(folder, "chat", port)
    limit = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=limit, timeout=aiohttp.ClientTimeout(None)) as session:
            await healthy(session, f"http://127.0.0.1:{port}/health", server)
            await healthy(session, f"http://127.0.0.1:{model_port}/counts", model)
            tally = Tally(arguments.frames)
            memory = await load(session, port, server, tally, arguments)
            async with session.get(f"http://127.0.0.1:{model_port}/counts") as response:
                sent = await response.json()
    finally:
        for process in (server, model):
            process.kill()
            process.wait()
    return {
        "clients": arguments.clients,
        "minutes": arguments.minutes,
        "answers": tally.whole,
        "answers_not_whole": tally.broken[:5],
        "frames_sent_by_the_model": sent["frames"],
        "frames_received": tally.frames,
        "frames_lost": sent["frames"] - tally.frames,
        "frames_out_of_order": tally.disordered,
        "first_frame_ms_median": round(statistics.median(tally.first) * 1000, 1),
        "streams_in_flight_at_sigterm": tally.in_flight,
        "exit_code": server.returncode if tally.ended is None else tally.ended,
        **memory,
    }


class Tally:
    """What the clients received."""

    def __init__(self, frames: int) -> None:
        self.expected = frames
        self.whole = self.frames = self.disordered = self.in_flight = 0
        self.broken: list[str] = []
        self.first: list[float] = []
        self.ended: int | None = None


async def load(
    session: aiohttp.ClientSession,
    port: int,
    server: subprocess.Popen[bytes],
    tally: Tally,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    ends = time.monotonic() + arguments.minutes * 60
    length = arguments.frames * arguments.pause

    async def client(number: int) -> None:
        await asyncio.sleep(length * number / arguments.clients)
        turn = 0
        while time.monotonic() < ends:
            turn += 1
            await ask(session, port, f"c{number}t{turn}", tally)

    clients = [asyncio.create_task(client(number)) for number in range(arguments.clients)]
    samples: list[tuple[float, float]] = []
    begun, used = time.monotonic(), cpu(server.pid)
    while time.monotonic() < ends:
        await asyncio.sleep(min(SAMPLE_SECONDS, max(0.0, ends - time.monotonic())) or 0.01)
        samples.append((time.monotonic() - begun, rss(server.pid)))
    spent = cpu(server.pid) - used
    received = tally.frames
    # The clients stop asking now; all of them are somewhere in an answer.
    tally.in_flight = sum(not task.done() for task in clients)
    server.send_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    tally.ended = await asyncio.to_thread(server.wait, 60)
    return {
        "rss_mb": [round(size, 1) for _, size in samples[:: max(1, len(samples) // 20)]],
        "rss_mb_after_a_minute": next((round(size, 1) for at, size in samples if at >= 60), None),
        "rss_mb_at_the_end": round(samples[-1][1], 1),
        "cpu_us_per_frame": round(spent / max(received, 1) * 1e6, 1),
    }


async def ask(session: aiohttp.ClientSession, port: int, name: str, tally: Tally) -> None:
    begun, text, seen = time.monotonic(), "", 0
    headers = {"accept": "text/event-stream"}
    try:
        async with session.post(f"http://127.0.0.1:{port}/score", json={"question": name}, headers=headers) as response:
            if response.status != 200:
                tally.broken.append(f"{response.status}: {await response.text()}")
                return
            async for line in response.content:
                if line.startswith(b"data: "):
                    if not seen:
                        tally.first.append(time.monotonic() - begun)
                    piece = json.loads(line[6:]).get("answer", "")
                    tally.disordered += piece != f"{name}/{seen} "
                    seen += 1
                    text += piece
    except aiohttp.ClientError as error:
        tally.broken.append(f"{name}: {type(error).__name__}: {error}")
    tally.frames += seen
    if text == "".join(f"{name}/{number} " for number in range(tally.expected)):
        tally.whole += 1
    else:
        tally.broken.append(f"{name}: {seen} frames")


# Requests per second


async def compared(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return requests per second and CPU time per request: ours, and prompt flow's two engines."""
    project(folder / "echo", ECHO, {"echo.py": TOOL})
    home = folder / "home"
    home.mkdir()
    theirs = {
        "PYTHONPATH": arguments.promptflow_path,
        "HOME": str(home),
        "PF_DISABLE_TRACING": "true",
        "PF_LOGGING_LEVEL": "ERROR",
    }
    command = [arguments.promptflow_python, "-m", "promptflow._cli._pf.entry", "flow", "serve"]
    found: dict[str, Any] = {}
    for name, engine in (("pilothouse", None), ("promptflow fastapi", "fastapi"), ("promptflow flask", "flask")):
        port = free_port()
        if engine is None:
            server = serve(folder, "echo", port)
        else:
            more = ["--source", str(folder / "echo"), "--port", str(port), "--engine", engine, "--skip-open-browser"]
            server = subprocess.Popen(
                [*command, *more],
                env=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            found[name] = await rates(port, server, arguments.seconds)
        except SystemExit as problem:
            found[name] = {"error": str(problem)}
        finally:
            if engine is None:
                server.kill()
            else:
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    return found


async def rates(port: int, server: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    begun = time.monotonic()
    address = f"http://127.0.0.1:{port}"
    found: dict[str, Any] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await healthy(session, f"{address}/health", server)
        found["healthy_after_s"] = round(time.monotonic() - begun, 1)
        for clients in (1, 8):
            done, used, started = 0, cpu(server.pid), time.monotonic()

            async def client(ends: float) -> int:
                count = 0
                while time.monotonic() < ends:
                    async with session.post(f"{address}/score", json={"text": "hello"}) as response:
                        assert (await response.json()) == {"answer": "HELLO"}
                    count += 1
                return count

            done = sum(await asyncio.gather(*(client(started + seconds) for _ in range(clients))))
            found[f"requests_per_s_{clients}_clients"] = round(done / (time.monotonic() - started), 1)
            found[f"cpu_ms_per_request_{clients}_clients"] = round((cpu(server.pid) - used) / done * 1000, 3)
        found["rss_mb"] = round(rss(server.pid), 1)
    return found


# Processes


def serve(folder: Path, flow: str, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pilothouse", "-C", str(folder), "flow", "serve", flow, "--port", str(port),
         "--concurrency", "1000"],
        env={"BENCH_KEY": "loopback"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def project(folder: Path, dag: str, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in {"flow.dag.yaml": dag, **files}.items():
        (folder / name).write_text(text)
    (folder.parent / "pilothouse.yaml").touch()


async def healthy(session: aiohttp.ClientSession, address: str, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            async with session.get(address) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise SystemExit(f"{address} did not answer")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def rss(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    return sum(_rss(item) for item in tree(pid))


def _rss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process and its children have used."""
    return sum(_cpu(item) for item in tree(pid))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def tree(pid: int) -> list[int]:
    found = [pid]
    for item in found:
        try:
            children = Path(f"/proc/{item}/task/{item}/children").read_text().split()
        except OSError:
            continue
        found += map(int, children)
    return found


if __name__ == "__main__":
    main()
