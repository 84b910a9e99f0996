"""A long even load on a real gateway, everything on: what its memory does, and whether anything was lost.

    nice python -m benchmarks.gateway.soak --minutes 30 --to soak.json

Plain calls at a steady rate (good ones, cached ones, guarded ones, some whose upstream fails, some whose client goes
away) beside streams that are always in flight. Memory is sampled every ten seconds: all of it (PSS), and what is the
gateway's process's own (anonymous), from which the slope is taken: what processes share moves with the others'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from tests.gateway.mock.upstream import MockProcess

from .clients import TOKENS, Load, Sums
from .processes import cpu_seconds, end

MODELS = {
    "plain": ["mock-tokens=16-first=5"],
    "cached": ["mock-tokens=16-first=6"],
    "guarded": ["mock-tokens=16-first=5-echo=1"],
    "failing": ["mock-tokens=16-fault=500", "mock-tokens=16-fault=cut@3", "mock-tokens=16-first=7"],
    "broken": ["mock-tokens=16-fault=503"],
    "long": [f"mock-tokens={TOKENS}-pace=20"],
}
"""Route to what the mock is told by each of its deployments."""

EVERY = 10.0
OURS = frozenset({"internal_error", "limits_unavailable", "guard_failed", "overloaded", "draining", "connection"})
"""Failures that no fault of the mock excuses."""


class Sample(NamedTuple):
    """What was seen at one moment."""

    at: float
    pss: float
    own: float
    cpu: float


class Slope(NamedTuple):
    """Growth in megabytes a minute, and its 95 % interval."""

    each_minute: float
    low: float
    high: float


def slope(samples: list[Sample]) -> Slope:
    """Fit a line by least squares; neighbours resemble each other, so the interval is widened by their correlation."""
    times = [sample.at / 60 for sample in samples]
    sizes = [sample.own for sample in samples]
    number = len(samples)
    middle, mean = sum(times) / number, sum(sizes) / number
    spread = sum((at - middle) ** 2 for at in times)
    rise = sum((at - middle) * (size - mean) for at, size in zip(times, sizes, strict=True)) / spread
    rests = [size - mean - rise * (at - middle) for at, size in zip(times, sizes, strict=True)]
    square = sum(rest * rest for rest in rests)
    likeness = sum(one * other for one, other in pairwise(rests)) / square if square else 0.0
    likeness = min(max(likeness, 0.0), 0.95)
    alone = max(number * (1 - likeness) / (1 + likeness), 3.0)
    error = math.sqrt(square / (alone - 2) / spread) if alone > 2 else math.inf
    half = 1.96 * error * (1 + 1.2 / max(alone - 2, 1))
    return Slope(round(rise, 4), round(rise - half, 4), round(rise + half, 4))


def write_project(folder: Path, mock: str) -> None:
    """Write a project with everything on."""

    def deployments(models: list[str]) -> list[dict[str, Any]]:
        return [{"connection": "mock", "model": model, "weight": 1} for model in models]

    routes: dict[str, Any] = {name: {"deployments": deployments(models)} for name, models in MODELS.items()}
    routes["cached"]["cache"] = {"entries": 300, "seconds": 600}
    routes["guarded"]["guards"] = ["private"]
    routes["failing"] |= {"retries": {"attempts": 3, "base": 0.01, "budget": 1.0}}
    routes["broken"] |= {"retries": {"attempts": 2, "base": 0.01}}
    limits = [
        {"name": "calls", "each": "key", "requests": 10_000_000, "per": "minute"},
        {"name": "tokens", "each": "key", "tokens": 10_000_000_000, "per": "minute"},
        {"name": "money", "each": "key", "dollars": 1_000_000, "per": "month"},
        {"name": "at-once", "each": "key", "concurrency": 10_000},
    ]
    prices = [{"model": model, "input": 1.0, "output": 4.0} for models in MODELS.values() for model in models]
    settings = {
        "gateway": {
            "port": 0,
            "access": "keys",
            "routes": routes,
            "limits": limits,
            "guards": {"private": {"type": "redact"}},
        },
        "models": {"prices": prices},
    }
    (folder / "pilothouse.yaml").write_text(json.dumps(settings))
    (folder / "connections").mkdir()
    connection = {"type": "open_ai", "base_url": f"{mock}/v1", "api_key": "${env:MOCK_KEY}"}
    (folder / "connections" / "mock.yaml").write_text(json.dumps(connection))
    (folder / ".env").write_text("MOCK_KEY=sk-upstream\n")


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """While inside, a gateway serves the project."""
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, "gateway", "serve"],
            cwd=folder, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            said = process.stdout.readline().decode().split()
            yield process, next(word for word in said if word.startswith("http"))
        finally:
            end(process)


PROGRAM = [sys.executable, "-c", "from pilothouse.cli.main import main; main()"]


def told(folder: Path, *arguments: str) -> Any:
    """Ask the command line, and read its JSON."""
    said = subprocess.run([*PROGRAM, *arguments, "--json"], cwd=folder, check=True, capture_output=True)
    return json.loads(said.stdout)


def memory(process: int, what: str) -> float:
    """Return megabytes of a process: ``Pss`` of all, ``Anonymous`` of what is nobody else's."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return round(next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{what}:")) / 1024, 2)


def holdings(process: int) -> dict[str, int]:
    """Return how many threads and open files a process has."""
    place = Path(f"/proc/{process}")
    return {"threads": len(list((place / "task").iterdir())), "files": len(list((place / "fd").iterdir()))}


async def watch(process: subprocess.Popen[bytes], url: str, begun: float, into: list[Sample], sums: Sums) -> None:
    """Sample memory, and ask what an operator's tools ask."""
    root = url.removesuffix("/v1")
    while process.poll() is None:
        into.append(
            Sample(
                time.monotonic() - begun,
                memory(process.pid, "Pss"),
                memory(process.pid, "Anonymous"),
                cpu_seconds(process.pid),
            )
        )
        sums.not_ready += not await asyncio.to_thread(_ready, root)
        sums.scrapes += 1
        await asyncio.sleep(EVERY)


def _ready(root: str) -> bool:
    try:
        with urllib.request.urlopen(f"{root}/metrics", timeout=10) as answer:
            answer.read()
        with urllib.request.urlopen(f"{root}/readyz", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


async def soak(folder: Path, arguments: argparse.Namespace, mock: MockProcess) -> dict[str, Any]:
    """Run it all; return what was found."""
    keys = [told(folder, "gateway", "key", "create", name)["secret"] for name in ("ann", "bob", "cleo")]
    with gateway(folder) as (process, url):
        load, samples = Load(url, keys, arguments.rate, arguments.streams), list[Sample]()
        begun = time.monotonic()
        idle = memory(process.pid, "Pss")
        watching = asyncio.create_task(watch(process, url, begun, samples, load.sums))
        await load.run(arguments.minutes * 60)
        await asyncio.sleep(EVERY)
        watching.cancel()
        rested = memory(process.pid, "Pss")
        held = holdings(process.pid)
    sums = load.sums
    rows = told(folder, "gateway", "ledger", "spend", "--by", "status")
    late = [sample for sample in samples if arguments.settle * 60 <= sample.at <= arguments.minutes * 60]
    bill = mock.bill()
    ours = {name: number for name, number in sums.statuses.items() if name.split()[-1] in OURS}
    return {
        "minutes": arguments.minutes,
        "calls": sums.sent,
        "streams": sums.streams,
        "clients_left": {"plain": sums.left, "streams": sums.streams_left},
        "statuses": dict(sorted(sums.statuses.items())),
        "errors_of_ours": ours,
        "unredacted": sums.unredacted,
        "frames": sums.frames,
        "frames_lost": sums.lost,
        "streams_not_whole": sums.broken_streams,
        "ledger": rows,
        "mock": {name: bill[name] for name in ("requests", "served", "aborted", "cut", "fault", "open", "cost")},
        "readiness": {"asked": sums.scrapes, "not_ready": sums.not_ready},
        "memory_mb": {
            "idle": idle,
            "late_mean": round(sum(one.pss for one in late) / len(late), 1) if late else None,
            "highest": max(one.pss for one in samples),
            "rested": rested,
            "own_after_1_minute": next((one.own for one in samples if one.at >= 60), None),
            "own_late_mean": round(sum(one.own for one in late) / len(late), 1) if late else None,
        },
        "slope_mb_each_minute": slope(late)._asdict() if len(late) > 5 else None,
        "over_minutes": [arguments.settle, arguments.minutes],
        "cpu_share": round((samples[-1].cpu - samples[0].cpu) / (samples[-1].at - samples[0].at), 3),
        **held,
        "samples": [sample._asdict() for sample in samples],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--settle", type=float, default=5.0, help="minutes that the slope leaves out")
    parser.add_argument("--rate", type=float, default=60.0, help="plain calls a second")
    parser.add_argument("--streams", type=int, default=20, help="always in flight")
    parser.add_argument("--to", type=Path, help="where the figures go, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as place, MockProcess("--sums-only") as mock:
        folder = Path(place)
        write_project(folder, mock.url)
        found = uvloop.run(soak(folder, arguments, mock))
        found["said"] = (folder / "gateway.log").read_text(errors="replace")[-4000:]
    if arguments.to:
        arguments.to.write_text(json.dumps(found, indent=1))
    found.pop("samples")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
