"""What a graph of a hundred nodes costs for each node, and what worker processes cost for each row.

Run it as ``python benchmarks/graphs.py [--rows N]``. Every measurement has a process of its own; CPU is what counts,
that of worker processes included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

GRAPHS = {
    "chain": {place: [place - 1] if place else [] for place in range(100)},
    "fan 1-98-1": {place: [] if not place else [0] if place < 99 else list(range(1, 99)) for place in range(100)},
    "layers 10x10": {
        place: [place // 10 * 10 - 10 + other for other in range(10)] if place >= 10 else [] for place in range(100)
    },
}
TOOL = "from pilothouse import tool\n\n\n@tool\n{kind} one(**values):\n    return 1\n"


def project(folder: Path, nodes: dict[int, list[int]], kind: str, rows: int) -> None:
    """Write a project whose flow has these nodes, each with the places that it reads."""
    (folder / "flow").mkdir()
    (folder / "flow" / "one.py").write_text(TOOL.format(kind=kind))
    (folder / "pilothouse.yaml").write_text("{}\n")
    source = {"type": "code", "path": "one.py"}
    flow = {
        "inputs": {"x": {"type": "int"}},
        "outputs": {"y": {"type": "int", "reference": f"${{n{max(nodes)}.output}}"}},
        "nodes": [
            {
                "name": f"n{place}",
                "type": "python",
                "source": source,
                "inputs": {f"v{other}": f"${{n{other}.output}}" for other in reads} or {"x": "${inputs.x}"},
            }
            for place, reads in nodes.items()
        ],
    }
    (folder / "flow" / "flow.dag.yaml").write_text(json.dumps(flow))
    (folder / "data.jsonl").write_text("".join(json.dumps({"x": number}) + "\n" for number in range(rows)))


def run(folder: Path, isolation: str) -> None:
    """Run the project's flow in this process and print what it cost."""
    from pilothouse.experiments.runs.service import RunService
    from pilothouse.experiments.runs.types import Progress, RunSpec
    from pilothouse.workspace import Workspace

    before, tenth = cpu(), [0]

    def watch(seen: Progress) -> None:
        if not tenth[0] and seen.counts.total and seen.counts.done >= seen.counts.total / 10:
            tenth[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with Workspace(folder) as workspace:
        spec = RunSpec(flow="flow", data="data.jsonl", isolation=isolation)  # type: ignore[arg-type]
        ended = asyncio.run(workspace.get(RunService).execute(spec, on_progress=watch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"status": ended.status, "rows": ended.counts.completed, "seconds": ended.duration}
    print(json.dumps({**figures, "cpu": cpu() - before, "tenth": tenth[0] // 1024, "peak": peak // 1024}))


def cpu() -> float:
    """Return the CPU seconds of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def measured(nodes: dict[int, list[int]], kind: str, rows: int, isolation: str) -> dict[str, float]:
    """Return the figures of one run in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        project(Path(name), nodes, kind, rows)
        command = [sys.executable, __file__, "--run", name, "--isolation", isolation]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--isolation", default="none", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        run(given.run, given.isolation)
        return
    print(f"(a) {given.rows:,} rows x 100 nodes, with journal and spans:")
    for graph, nodes in GRAPHS.items():
        for kind in ("def", "async def"):
            found = measured(nodes, kind, given.rows, "none")
            each = found["cpu"] / given.rows / 100 * 1e6
            print(
                f"    {graph:12} {kind:9} {each:6.0f} us CPU a node, peak {found['tenth']} MB after 10 %, "
                f"{found['peak']} MB at the end; {found['seconds']:.1f} s, {found['status']}"
            )
    print(f"(b) {given.rows:,} rows of one trivial node:")
    for isolation in ("none", "process"):
        found = measured({0: []}, "def", given.rows, isolation)
        rate, speed = found["rows"] / found["cpu"], found["rows"] / found["seconds"]
        print(f"    isolation {isolation:8} {rate:7,.0f} rows/CPU-s, {speed:7,.0f} rows/s, {found['cpu']:.2f} s CPU")


if __name__ == "__main__":
    main()
