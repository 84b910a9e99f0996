"""What a batch costs: trivial rows, rows that wait for a model, a million rows. Beside prompt flow: promptflow.py.

Run it as ``python benchmarks/batch.py [--rows N] [--calls N] [--stream N | --million]``.
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

from measuring.endpoint import slow_endpoint
from measuring.projects import project

SETTINGS = "runs: {concurrency: 200}"


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


def child(*arguments: str) -> dict[str, float]:
    """Run this file in a process of its own; return its figures and the CPU of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout.splitlines()[-1]), "whole": whole}


def trivial(folder: Path, rows: int, times: int) -> None:
    """Print the CPU of a run of two trivial Python nodes."""
    project(folder, rows, settings=SETTINGS)
    found = [child("--run", "trivial", "--folder", str(folder)) for _ in range(times)]
    best = min(found, key=lambda item: item["cpu"])
    each = ", ".join(f"{item['cpu']:.2f}" for item in found)
    print(f"(a) {rows:,} rows x 2 trivial Python nodes, {times} times; the least:")
    print(f"    the run (load, rows, journal, record, spans)  {best['cpu']:.2f} s CPU   ({each}; bar 0.3 s)")
    print(f"    imports {best['cpu_of_imports']:.2f} s, whole process {best['whole']:.2f} s CPU")
    rate = best["rows"] / best["attempt"]
    print(f"    {rate:,.0f} rows/s, 1 process, {best['peak']} MB peak; wall {best['wall']:.2f} s")


def waiting(folder: Path, rows: int) -> None:
    """Print the time of model calls of one second, 200 in flight, to a server in another process."""
    with slow_endpoint(1.0) as port:
        project(folder, rows, port=port, settings=SETTINGS)
        found = child("--run", "ask", "--folder", str(folder))
    print(f"(b) {rows:,} rows of one model call of 1 s, 200 in flight (ideal {rows / 200:.0f} s):")
    print(f"    wall {found['wall']:.2f} s (bar 8 s), {found['cpu']:.2f} s CPU of ours, {found['peak']} MB peak")
    print(f"    {found['rows']:,} rows {found['status']}")


def streaming(folder: Path, rows: int) -> None:
    """Print the memory of a long run at a tenth and at its end."""
    project(folder, rows, settings=SETTINGS)
    found = child("--run", "trivial", "--folder", str(folder))
    print(f"(c) {rows:,} rows streamed:")
    print(f"    peak memory {found['peak_tenth']} MB after 10 %, {found['peak']} MB at the end, {found['status']}")
    print(f"    wall {found['wall']:.0f} s, {found['cpu']:.0f} s CPU ({found['cpu'] / rows * 1e6:,.0f} us a row)")
    print(f"    journal {found['journal'] / 1e6:,.0f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="trivial rows")
    parser.add_argument("--calls", type=int, default=1000, help="rows of a model call")
    parser.add_argument("--stream", type=int, default=100_000, help="rows that are streamed")
    parser.add_argument("--million", action="store_true", help="stream 1,000,000 rows")
    parser.add_argument("--times", type=int, default=5, help="repetitions of the first measurement")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run(arguments.folder, arguments.run)
        return
    parts: list[Callable[[Path], None]] = [
        lambda folder: trivial(folder, arguments.rows, arguments.times),
        lambda folder: waiting(folder, arguments.calls),
        lambda folder: streaming(folder, 1_000_000 if arguments.million else arguments.stream),
    ]
    for part in parts:
        with tempfile.TemporaryDirectory() as name:
            part(Path(name))


if __name__ == "__main__":
    main()
