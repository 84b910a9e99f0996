"""What a batch costs: trivial rows, rows that wait for a model, a million rows; beside prompt flow where it is given.

Run it as ``python benchmarks/batch.py [--rows N] [--calls N] [--stream N | --million] [--promptflow-python PATH]``.
Every measurement has a process of its own, so that its CPU and its peak memory are its own. CPU is what counts on a
machine that others use too; wall time is printed beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FILES = {
    "pilothouse.yaml": "runs: {concurrency: 200}\n",
    "connections/loopback.yaml": "type: open_ai\nbase_url: http://127.0.0.1:PORT/v1\n",
    "flows/trivial/flow.dag.yaml": """
inputs:
  text: {type: string}
outputs:
  words: {type: int, reference: "${count.output}"}
nodes:
  - name: fold
    type: python
    source: {type: code, path: fold.py}
    inputs: {text: "${inputs.text}"}
  - name: count
    type: python
    source: {type: code, path: count.py}
    inputs: {text: "${fold.output}"}
""",
    "flows/trivial/fold.py": """
from TOOL import tool


@tool
def fold(text: str) -> str:
    return text.lower()
""",
    "flows/trivial/count.py": """
from TOOL import tool


@tool
def count(text: str) -> int:
    return len(text.split())
""",
    "flows/ask/flow.dag.yaml": """
inputs:
  text: {type: string}
outputs:
  answer: {type: string, reference: "${ask.output}"}
nodes:
  - name: ask
    type: llm
    source: {type: code, path: ask.jinja2}
    connection: loopback
    api: chat
    inputs: {model: slow, text: "${inputs.text}"}
""",
    "flows/ask/ask.jinja2": "system:\nAnswer in one word.\nuser:\n{{text}}\n",
}

#: Measured with prompt flow 1.18.5 on the same flow: rows a second, processes, CPU seconds.
PROMPT_FLOW = "56-60 rows/s with 8 processes, 17.7 s CPU for 1,000 rows (promptflow 1.18.5, 4 workers, 2 cores)"


def project(folder: Path, rows: int, *, tool: str = "pilothouse", port: int = 0) -> Path:
    """Write a project with its flows and its data."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("TOOL", tool).replace("PORT", str(port)))
    with (folder / "data.jsonl").open("w") as sink:
        for number in range(rows):
            sink.write(json.dumps({"text": f"Row {number}: the quick brown fox jumps over the lazy dog"}) + "\n")
    return folder


def run(folder: Path, flow: str) -> None:
    """Run one flow in this process and print what it cost."""
    started = time.process_time()
    from pilothouse.experiments.runs.service import RunService
    from pilothouse.experiments.runs.types import Progress, RunSpec
    from pilothouse.workspace import Workspace

    imported = time.process_time()
    tenth: list[int] = []

    def watch(seen: Progress) -> None:
        if not tenth and seen.counts.total and seen.counts.done >= seen.counts.total / 10:
            tenth.append(peak())

    wall = time.monotonic()
    with Workspace(folder) as workspace:
        spec = RunSpec(flow=f"flows/{flow}", data="data.jsonl", use_cache=flow != "ask")
        ended = asyncio.run(workspace.get(RunService).execute(spec, on_progress=watch))
    journal = folder / ".pilothouse" / "runs" / ended.id / "rows.jsonl"
    figures = {
        "status": ended.status,
        "rows": ended.counts.completed,
        "wall": time.monotonic() - wall,
        "attempt": ended.duration,
        "cpu": time.process_time() - imported,
        "cpu_of_imports": imported - started,
        "peak_tenth": tenth[0] if tenth else 0,
        "peak": peak(),
        "journal": journal.stat().st_size,
    }
    print(json.dumps(figures))


def peak() -> int:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def serve(delay: float) -> None:
    """Answer chat requests like OpenAI, each after ``delay`` seconds; print the port."""
    from aiohttp import web

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(delay)
        message = {"role": "assistant", "content": "yes"}
        usage = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"id": "1", "model": body["model"], "choices": [choice], "usage": usage})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def child(*arguments: str) -> dict[str, float]:
    """Run this file in a process of its own; return its figures and the CPU of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout.splitlines()[-1]), "whole": whole}


def trivial(folder: Path, rows: int, times: int) -> None:
    """Print the CPU of a run of two trivial Python nodes."""
    project(folder, rows)
    found = [child("--run", "trivial", "--folder", str(folder)) for _ in range(times)]
    best = min(found, key=lambda item: item["cpu"])
    each = ", ".join(f"{item['cpu']:.2f}" for item in found)
    print(f"(a) {rows:,} rows x 2 trivial Python nodes, {times} times; the least:")
    print(f"    the run (load, rows, journal, record, spans)  {best['cpu']:.2f} s CPU   ({each}; bar 0.3 s)")
    print(f"    imports {best['cpu_of_imports']:.2f} s, whole process {best['whole']:.2f} s CPU")
    rate = best["rows"] / best["attempt"]
    print(f"    {rate:,.0f} rows/s, 1 process, {best['peak']} MB peak; wall {best['wall']:.2f} s")
    print(f"    prompt flow on the same flow: {PROMPT_FLOW}")


def waiting(folder: Path, rows: int) -> None:
    """Print the time of model calls of one second, 200 in flight, to a server in another process."""
    server = subprocess.Popen([sys.executable, __file__, "--serve", "1.0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        project(folder, rows, port=int(server.stdout.readline()))
        found = child("--run", "ask", "--folder", str(folder))
    finally:
        server.terminate()
        server.wait()
    print(f"(b) {rows:,} rows of one model call of 1 s, 200 in flight (ideal {rows / 200:.0f} s):")
    print(f"    wall {found['wall']:.2f} s (bar 8 s), {found['cpu']:.2f} s CPU of ours, {found['peak']} MB peak")
    print(f"    {found['rows']:,} rows {found['status']}")


def streaming(folder: Path, rows: int) -> None:
    """Print the memory of a long run at a tenth and at its end."""
    project(folder, rows)
    found = child("--run", "trivial", "--folder", str(folder))
    print(f"(c) {rows:,} rows streamed:")
    print(f"    peak memory {found['peak_tenth']} MB after 10 %, {found['peak']} MB at the end, {found['status']}")
    print(f"    wall {found['wall']:.0f} s, {found['cpu']:.0f} s CPU ({found['cpu'] / rows * 1e6:,.0f} us a row)")
    print(f"    journal {found['journal'] / 1e6:,.0f} MB")


def prompt_flow(python: str, folder: Path, rows: int) -> None:
    """Run the same flow with an installed prompt flow and print what it costs."""
    project(folder, rows, tool="promptflow.core")
    pf = ["env", f"PF_HOME_DIRECTORY={folder / 'home'}", python, "-m", "promptflow._cli.pf"]
    create = [
        "run",
        "create",
        "--flow",
        "flows/trivial",
        "--data",
        "data.jsonl",
        "--column-mapping",
        "text=${data.text}",
    ]
    off = ["config", "set", "trace.destination=none", "telemetry.enabled=false"]
    quiet = subprocess.DEVNULL
    subprocess.run([*pf, *off], check=True, cwd=folder, stdout=quiet, stderr=quiet)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.monotonic()
    subprocess.run([*pf, *create], check=True, cwd=folder, stdout=quiet, stderr=quiet)
    wall = time.monotonic() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"(d) prompt flow, {rows:,} rows of the same flow, tracing and telemetry off:")
    print(f"    {rows / wall:,.0f} rows/s over the whole command: wall {wall:.1f} s, {cpu:.1f} s CPU")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="trivial rows")
    parser.add_argument("--calls", type=int, default=1000, help="rows of a model call")
    parser.add_argument("--stream", type=int, default=100_000, help="rows that are streamed")
    parser.add_argument("--million", action="store_true", help="stream 1,000,000 rows")
    parser.add_argument("--times", type=int, default=5, help="repetitions of the first measurement")
    parser.add_argument("--promptflow-python", help="the python of an environment with promptflow")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    if arguments.run is not None:
        run(arguments.folder, arguments.run)
        return
    python = arguments.promptflow_python
    parts: list[Callable[[Path], None]] = [
        lambda folder: trivial(folder, arguments.rows, arguments.times),
        lambda folder: waiting(folder, arguments.calls),
        lambda folder: streaming(folder, 1_000_000 if arguments.million else arguments.stream),
    ]
    if python:
        parts.append(lambda folder: prompt_flow(python, folder, arguments.rows))
    for part in parts:
        with tempfile.TemporaryDirectory() as name:
            part(Path(name))


if __name__ == "__main__":
    main()
