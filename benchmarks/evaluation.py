"""Evaluation beside the tools of the field: the same rows, the same no-op model, one exact match, in one run.

Run it as ``python benchmarks/evaluation.py [--rows 1000,100000] [--times 3] [--peer NAME=PYTHON ...] [--json]``.
PYTHON is that of an environment of its own that holds the tool::

    python3.11 -m venv peers/inspect_ai && peers/inspect_ai/bin/python -m pip install inspect-ai
    python benchmarks/evaluation.py --peer inspect_ai=peers/inspect_ai/bin/python

for ``inspect_ai``, ``deepeval``, ``mlflow`` and ``pydantic_evals``. Without peers, only Pilothouse is measured.

Every tool is given its best: telemetry and network are off, and it answers from a model in its own process. What it
keeps differs: Pilothouse keeps every row on the disk before it counts as done, with its spans, the scores and a report;
inspect_ai writes its log, mlflow its SQLite store; deepeval and pydantic-evals keep nothing. CPU is that of the whole
tree of processes, start included; the figure per row leaves out what 2 rows cost. The commands take turns, figures are
medians. A size that a peer would need more than ``--most-minutes`` for is not run, and the table says so: the estimate
is its cost per row at the size before.

``--resume`` makes a run whose log is ``--log-bytes`` long instead, kills it before its end, and measures what follows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from measuring.experiments import data, experiment
from measuring.processes import Cost, cost

PEERS = Path(__file__).parent / "peers"
IMPORTS = {
    "pilothouse": "pilothouse.evaluation.service",
    "inspect_ai": "inspect_ai",
    "deepeval": "deepeval",
    "mlflow": "mlflow.genai",
    "pydantic_evals": "pydantic_evals",
}
QUIET = {
    "DO_NOT_TRACK": "1",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    # With its own 5 + 10 connections mlflow's workers wait for one another, and it loses traces.
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "64",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "64",
}
FEW = 2
FILLING = 3300
"""Bytes of a question; its row takes some 10 kB of the log: as input, as output and as answer of the node."""


class Tool(NamedTuple):
    """One of those measured, and the Python that has it."""

    name: str
    python: str
    arms: int = 1

    def run(self, rows: int) -> Cost:
        """Evaluate so many rows."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if self.name.startswith("pilothouse"):
                experiment(folder, rows, arms=self.arms)
                return self._call(folder, "-m", "pilothouse", "experiment", "run", "ask.yaml")
            data(folder / "data.jsonl", rows)
            found = self._call(folder, str(PEERS / f"{self.name}_rows.py"), "data.jsonl")
            kept = json.loads(found.output.splitlines()[-1])["rows"]
            if kept != rows:
                print(f"{self.name} lost {rows - kept:,} rows of {rows:,}", file=sys.stderr, flush=True)
            return found

    def importing(self) -> float:
        """Return the CPU seconds of importing it, those of Python itself left out."""
        with tempfile.TemporaryDirectory() as name:
            module = IMPORTS[self.name.partition(",")[0]]
            return self._call(Path(name), "-c", f"import {module}").cpu - self._call(Path(name), "-c", "pass").cpu

    def _call(self, folder: Path, *arguments: str) -> Cost:
        return cost([self.python, *arguments], folder, _environment(folder))


def measure(tools: list[Tool], sizes: list[int], times: int, most: float) -> dict[str, dict[str, float | str]]:
    """Return the medians of every figure by tool; the tools take turns."""
    found: dict[str, dict[str, float | str]] = {tool.name: {} for tool in tools}
    for tool in tools:
        tool.run(FEW)  # compiles what was never imported
    imports = {tool.name: [] for tool in tools}
    few = {tool.name: [] for tool in tools}
    for _ in range(times):
        for tool in tools:
            imports[tool.name].append(tool.importing())
            few[tool.name].append(tool.run(FEW))
    start = {name: statistics.median(item.cpu for item in costs) for name, costs in few.items()}
    for tool in tools:
        found[tool.name]["import: CPU (s)"] = statistics.median(imports[tool.name])
        found[tool.name]["2 rows: CPU (s)"] = start[tool.name]
    pace = {tool.name: statistics.median(item.wall for item in few[tool.name]) for tool in tools}
    begin = dict(pace)
    rows_before = FEW
    for rows in sizes:
        expected = {
            name: wall if rows_before == FEW else begin[name] + (wall - begin[name]) * rows / rows_before
            for name, wall in pace.items()
        }
        runs: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
        for _ in range(times):
            for tool in tools:
                if expected[tool.name] <= most * 60:
                    runs[tool.name].append(tool.run(rows))
        for name, costs in runs.items():
            if not costs:
                found[name][f"{rows:,} rows"] = f"not run (est. {expected[name] / 60:,.0f} min)"
                pace[name] = expected[name]
                continue
            cpu = statistics.median(item.cpu for item in costs)
            pace[name] = statistics.median(item.wall for item in costs)
            found[name] |= {
                f"{rows:,} rows: CPU (s)": cpu,
                f"{rows:,} rows: ms CPU a row": 1000 * (cpu - start[name]) / (rows - FEW),
                f"{rows:,} rows: rows a CPU second": rows / cpu,
                f"{rows:,} rows: wall (s)": pace[name],
                f"{rows:,} rows: memory (MB)": statistics.median(item.memory for item in costs),
            }
            print(f"{name}, {rows:,} rows: {found[name]}", file=sys.stderr, flush=True)
        rows_before = rows
    return found


def resume(log_bytes: int) -> dict[str, float]:
    """Make a long log, kill its run shortly before the end, and return what each command costs then."""
    rows = log_bytes // (3 * FILLING + 500)
    with tempfile.TemporaryDirectory() as name:
        folder = experiment(Path(name), rows, filling=FILLING)
        _kill_late(folder, 0.995 * log_bytes)
        log = next(folder.glob(".pilothouse/runs/*/rows.jsonl"))
        found: dict[str, float] = {"log (MB)": log.stat().st_size / 1e6, "rows": rows}
        for told, arguments in {
            "run list": ("run", "list"),
            "run show": ("run", "show", "latest"),
            "run show --line": ("run", "show", "latest", "--line", str(rows // 2)),
            "run show-details": ("run", "show-details", "latest", "--json"),
            "run resume": ("run", "resume", "latest"),
            "run list, ended": ("run", "list"),
            "run show, ended": ("run", "show", "latest"),
            "experiment run, goes on": ("experiment", "run", "ask.yaml"),
            "experiment run, nothing to do": ("experiment", "run", "ask.yaml"),
        }.items():
            spent = cost([sys.executable, "-m", "pilothouse", *arguments], folder, _environment(folder))
            found |= {f"{told}: wall (s)": spent.wall, f"{told}: CPU (s)": spent.cpu, f"{told}: MB": spent.memory}
            print(
                f"{told}: {spent.wall:.1f} s, CPU {spent.cpu:.1f} s, {spent.memory:.0f} MB", file=sys.stderr, flush=True
            )
    return found


def _kill_late(folder: Path, enough: float) -> None:
    command = [sys.executable, "-m", "pilothouse", "experiment", "run", "ask.yaml"]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, cwd=folder, env=_environment(folder), **output)
    while (
        running.poll() is None
        and sum(log.stat().st_size for log in folder.glob(".pilothouse/runs/*/rows.jsonl")) < enough
    ):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8", **QUIET}


def show(found: dict[str, dict[str, float | str]]) -> None:
    """Print a table for people."""
    labels = list(dict.fromkeys(label for figures in found.values() for label in figures))
    print(f"{'':38}" + "".join(f"{name:>24}" for name in found))
    for label in labels:
        values = (figures.get(label, "") for figures in found.values())
        print(f"{label:38}" + "".join(f"{item:>24}" if isinstance(item, str) else f"{item:24,.3f}" for item in values))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000,100000", help="sizes, separated by commas")
    parser.add_argument("--times", type=int, default=3, help="repetitions")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="a tool and its Python")
    parser.add_argument("--most-minutes", type=float, default=10.0, help="a size that takes a tool longer is not run")
    parser.add_argument("--resume", action="store_true", help="measure what follows on a run with a long log")
    parser.add_argument("--log-bytes", type=float, default=1e9, help="how long that log is")
    parser.add_argument("--json", action="store_true", help="write JSON for programs")
    given = parser.parse_args()
    if given.resume:
        print(json.dumps(resume(int(given.log_bytes)), indent=2))
        return
    tools = [Tool("pilothouse", sys.executable), Tool("pilothouse, 2 arms", sys.executable, 2)]
    tools += [Tool(*peer.split("=", 1)) for peer in given.peer]
    found = measure(tools, [int(size) for size in given.rows.split(",")], given.times, given.most_minutes)
    if given.json:
        about = {"python": platform.python_version(), "cpus": os.cpu_count(), "times": given.times}
        print(json.dumps({**about, "figures": found}, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
