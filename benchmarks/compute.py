"""What a row costs by where it is computed: in this process, in worker processes, on a Ray of two workers.

Run it as ``python benchmarks/compute.py [--rows N ...]``: a scripted model answers every row. Each measurement is one
run after a short one of the same kind, so that starting is not in it. CPU is that of this process
and of its workers, looked at ten times a second while the run lasts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run, RunSpec
from pilothouse.workspace import Workspace

FLOW = {
    "inputs": {"question": {"type": "string"}},
    "outputs": {"answer": {"type": "string", "reference": "${ask.output}"}},
    "nodes": [
        {
            "name": "ask",
            "type": "llm",
            "source": {"type": "code", "path": "ask.jinja2"},
            "connection": "scripted",
            "api": "chat",
            "inputs": {"model": "scripted", "question": "${inputs.question}"},
        }
    ],
}
PLACES: dict[str, dict[str, Any]] = {
    "this process": {},
    "two processes": {"isolation": "process", "workers": 2},
    "Ray, two workers": {"compute": "ray", "workers": 2},
}


def processes() -> dict[int, float]:
    """Return the CPU seconds so far of every process of the session's workers, and of this one."""
    found: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
            if int(folder.name) == os.getpid() or b"RayWorker" in name or b"isolation.warden" in name:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(folder.name)] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return found


async def watched(run: Any, seen: dict[int, list[float]]) -> Run:
    """Return the ended run, having looked at its processes ten times a second."""
    task = asyncio.ensure_future(run)
    while not task.done():
        for process, seconds in processes().items():
            seen.setdefault(process, [seconds, seconds])[1] = seconds
        await asyncio.wait([task], timeout=0.1)
    return task.result()


def measure(workspace: Workspace, rows: int, place: dict[str, Any]) -> tuple[float, float, float]:
    """Return the wall seconds of the attempt, the CPU of this process, and that of its workers."""
    seen: dict[int, list[float]] = {}
    spec = RunSpec(flow="flow", data="data.jsonl", limit=rows, use_cache=False, **place)
    before = time.process_time()
    run = asyncio.run(watched(workspace.get(RunService).execute(spec), seen))
    assert run.counts.completed == rows, run.counts
    own = time.process_time() - before
    return run.duration, own, sum(last - first for pid, (first, last) in seen.items() if pid != os.getpid())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pilothouse.yaml").touch()
        (folder / "flow").mkdir()
        (folder / "flow" / "flow.dag.yaml").write_text(json.dumps(FLOW))
        (folder / "flow" / "ask.jinja2").write_text("user:\n{{question}}\n")
        lines = (json.dumps({"question": f"question {number}"}) + "\n" for number in range(max(given.rows)))
        (folder / "data.jsonl").write_text("".join(lines))
        with Workspace(folder) as workspace:
            for title, place in PLACES.items():
                measure(workspace, 20, place)
                for rows in given.rows:
                    wall, own, workers = measure(workspace, rows, place)
                    print(
                        f"{title:17} {rows:7,} rows: {1e3 * wall / rows:6.2f} ms wall, "
                        f"{1e3 * own / rows:6.2f} ms CPU here, {1e3 * workers / rows:6.2f} ms CPU in workers, a row",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
