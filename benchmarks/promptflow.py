"""Pilothouse beside prompt flow: the same flow files, the same rows, the public command lines of both, in one run.

Run it as ``python benchmarks/promptflow.py --promptflow-python PATH [--rows 1000] [--calls 40] [--times 3] [--json]``.
PATH is the Python of an environment of its own that holds prompt flow::

    python3.11 -m venv pf && pf/bin/python -m pip install promptflow promptflow-tools

Without it, only Pilothouse's side is measured. The commands take turns, so that what else the machine does hits both;
figures are medians. CPU is that of the whole tree of processes: on a busy machine it is what counts. Prompt flow is
given its best: tracing and telemetry are off.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from measuring.endpoint import slow_endpoint
from measuring.processes import Cost, cost, files, written
from measuring.projects import project

MAPPING = "text=${data.text}"
INSTALL = "python3.11 -m venv pf && pf/bin/python -m pip install promptflow promptflow-tools"
# Prompt flow keeps its secrets under a key from the keyring, which a machine without a desktop does not have.
KEYRING = """
from pathlib import Path
from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    priority = 1
    place = Path(__file__).with_suffix(".key")

    def get_password(self, service, username):
        return self.place.read_text() if self.place.exists() else None

    def set_password(self, service, username, password):
        self.place.write_text(password)

    def delete_password(self, service, username):
        self.place.unlink()
"""
CONNECTION = """
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/OpenAIConnection.schema.json
name: loopback
type: open_ai
api_key: none
base_url: http://127.0.0.1:PORT/v1
"""


class Side(NamedTuple):
    """One of the two: how it is called, and in which environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]

    def call(self, folder: Path, *arguments: str, memory: bool = True) -> Cost:
        """Run one command line of it."""
        return cost([*self.command, *arguments], folder, self.environment, memory=memory)


@contextmanager
def sides(python: str | None) -> Iterator[list[Side]]:
    """Give both sides, each with a home of its own; prompt flow set up to be quick."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        base = {"PATH": os.defpath, "HOME": name, "LANG": "C.UTF-8"}
        found = [Side("pilothouse", (sys.executable, "-m", "pilothouse"), base)]
        if python:
            (home / "file_keyring.py").write_text(KEYRING)
            environment = {
                **base,
                "PF_HOME_DIRECTORY": str(home / "promptflow"),
                "PF_LOGGING_LEVEL": "ERROR",
                "PYTHONPATH": name,
                "PYTHON_KEYRING_BACKEND": "file_keyring.Keyring",
            }
            other = Side("promptflow", (python, "-m", "promptflow._cli.pf"), environment)
            other.call(home, "config", "set", "trace.destination=none", "telemetry.enabled=false")
            found.append(other)
        yield found


def homed(side: Side, home: Path) -> Side:
    """Return a side that keeps its records in ``home``; the settings are taken along."""
    if "PF_HOME_DIRECTORY" not in side.environment:
        return side
    settings = Path(side.environment["PF_HOME_DIRECTORY"]) / "pf.yaml"
    home.mkdir()
    (home / "pf.yaml").write_bytes(settings.read_bytes())
    return side._replace(environment={**side.environment, "PF_HOME_DIRECTORY": str(home)})


def create(side: Side, flow: str, folder: Path) -> Cost:
    """Run a flow over the data of a project."""
    return side.call(
        folder, "run", "create", "--flow", f"flows/{flow}", "--data", "data.jsonl", "--column-mapping", MAPPING
    )


def trivial(side: Side, rows: int) -> dict[str, float]:
    """Measure rows of two trivial Python nodes."""
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), rows, tool="promptflow.core")
        side = homed(side, folder / "home")
        before = files(folder)
        spent = create(side, "trivial", folder)
        count, size = written(folder, before)
    return {
        "rows per CPU second": rows / spent.cpu,
        "rows: CPU (s)": spent.cpu,
        "rows: wall (s)": spent.wall,
        "rows: memory (MB)": spent.memory,
        "rows: processes": spent.processes,
        "rows: files written": count,
        "rows: megabytes written": size / 1e6,
    }


def short(side: Side) -> dict[str, float]:
    """Measure a run that has next to nothing to do: what every run costs beside its rows."""
    return {"run of 2 rows: CPU (s)": trivial(side, 2)["rows: CPU (s)"]}


def waiting(side: Side, calls: int, port: int) -> dict[str, float]:
    """Measure rows of one model call of a second each."""
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), calls, port=port)
        side = homed(side, folder / "home")
        if side.name == "promptflow":
            (folder / "loopback.yaml").write_text(CONNECTION.replace("PORT", str(port)))
            side.call(folder, "connection", "create", "--file", "loopback.yaml")
        spent = create(side, "ask", folder)
    return {
        "calls: wall (s)": spent.wall,
        "calls: CPU (s)": spent.cpu,
        "calls: memory (MB)": spent.memory,
        "calls: processes": spent.processes,
    }


def starting(side: Side) -> dict[str, float]:
    """Measure the start: what `--version` costs."""
    with tempfile.TemporaryDirectory() as name:
        spent = side.call(Path(name), "--version")
    return {
        "start: CPU (s)": spent.cpu,
        "start: wall (s)": spent.wall,
        "start: memory (MB)": spent.memory,
    }


def measure(found: list[Side], rows: int, calls: int, times: int) -> dict[str, dict[str, float]]:
    """Return the medians of every figure by side; the sides take turns."""
    seen: dict[str, dict[str, list[float]]] = {side.name: {} for side in found}

    def turns(count: int, take: Callable[[Side], dict[str, float]]) -> None:
        for _ in range(count):
            for side in found:
                for figure, value in take(side).items():
                    seen[side.name].setdefault(figure, []).append(value)

    for side in found:
        # Compiles what was never imported.
        trivial(side, 2)
    turns(max(times, 3), starting)
    turns(times, lambda side: trivial(side, rows))
    turns(times, short)
    with slow_endpoint(1.0) as port:
        turns(1, lambda side: waiting(side, calls, port))
    medians = {name: {figure: statistics.median(of) for figure, of in kept.items()} for name, kept in seen.items()}
    return {name: _with_rows_alone(kept, rows) for name, kept in medians.items()}


def _with_rows_alone(kept: dict[str, float], rows: int) -> dict[str, float]:
    # What a run costs beside its rows is most of a short one: the rows for themselves say how it grows.
    alone = kept["rows: CPU (s)"] - kept["run of 2 rows: CPU (s)"]
    return {**kept, "rows per CPU second, start left out": (rows - 2) / alone if alone > 0 else float("nan")}


def show(figures: dict[str, dict[str, float]], rows: int, calls: int) -> None:
    """Print a table for people."""
    names = list(figures)
    print(f"rows: {rows:,} through 2 trivial Python nodes.  calls: {calls} rows of one model call of 1 s.")
    print(f"{'':36}" + "".join(f"{name:>14}" for name in names) + (f"{'times':>10}" if len(names) > 1 else ""))
    for figure, ours in figures["pilothouse"].items():
        line = f"{figure:36}" + "".join(f"{figures[name][figure]:14,.2f}" for name in names)
        print(line + (f"{ratio(figure, ours, figures['promptflow'][figure]):10,.1f}" if len(names) > 1 else ""))
    if len(names) == 1:
        print(f"\nFor prompt flow's side: {INSTALL}\nthen --promptflow-python pf/bin/python")


def ratio(figure: str, ours: float, theirs: float) -> float:
    """Return how many times better Pilothouse is."""
    return ours / theirs if figure.startswith("rows per") else theirs / ours if ours else float("inf")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--promptflow-python", metavar="PATH", help="the Python of an environment with prompt flow")
    parser.add_argument("--rows", type=int, default=1000, help="rows of two trivial nodes")
    parser.add_argument("--calls", type=int, default=40, help="rows of one model call")
    parser.add_argument("--times", type=int, default=3, help="repetitions of start and rows")
    parser.add_argument("--json", action="store_true", help="write JSON for programs")
    given = parser.parse_args()
    with sides(given.promptflow_python) as found:
        figures = measure(found, given.rows, given.calls, given.times)
    if not given.json:
        show(figures, given.rows, given.calls)
        return
    about = {"rows": given.rows, "calls": given.calls, "times": given.times, "python": platform.python_version()}
    print(json.dumps({**about, "cpus": os.cpu_count(), "figures": figures}, indent=2))


if __name__ == "__main__":
    main()
