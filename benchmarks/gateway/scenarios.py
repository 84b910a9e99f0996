"""What is measured of one gateway, and of the mock alone. Nothing here judges; it reports."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from .load import Spec, Target
from .peers import ROOT, Launch, Prepare, direct
from .processes import core, cpu_seconds, end, megabytes

GATEWAY_CORE, LOAD_CORE = 0, 1
RATES = (25, 50, 100, 200, 400, 800, 1200, 1600, 2000, 2500, 3000, 4000, 5000, 6500, 8000)
STREAMS = (1, 8, 32, 64, 128, 192, 256, 384, 500, 640, 768, 1024)
SLOWEST = 50.0
"""Milliseconds of the 99th percentile up to which a rate counts as sustained."""


class Sizes(NamedTuple):
    """How long each part lasts.

    Attributes:
        seconds: Of each load.
        rounds: Of the interleaved comparison.
        requests: Of each target in a round.
        most_streams: Where the search for clean streams ends.
        most_rate: Where the search for a sustained rate ends.
    """

    seconds: float
    rounds: int
    requests: int
    most_streams: int
    most_rate: int


class Running(NamedTuple):
    """A gateway that answers."""

    launch: Launch
    port: int
    process: subprocess.Popen[bytes]
    cold_start: float
    folder: Path

    @property
    def pid(self) -> int:
        """The root of its processes."""
        return self.process.pid


def load(spec: Spec) -> dict[str, Any]:
    """Run a load in a process of its own beside the mock."""
    said = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.gateway.load"],
        input=msgspec.json.encode(spec), cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return msgspec.json.decode(said.stdout)


@contextmanager
def started(prepare: Prepare, folder: Path, mock: str, port: int, patience: float) -> Iterator[Running]:
    """While inside, a gateway answers on its core.

    Raises:
        RuntimeError: when it ends, or does not answer in time, with the end of what it printed.
    """
    folder.mkdir(parents=True)
    launch = prepare(folder, mock, port)
    words = [f"{name}={value}" for name, value in launch.environment.items()]
    log = folder / "output.log"
    begun = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["taskset", "-c", str(GATEWAY_CORE), "env", "-u", "PYTHONDONTWRITEBYTECODE", *words, *launch.command],
            cwd=folder, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wanted = launch.target("", port, "whole")
        status = 0
        while (status := answered(wanted)) != 200:
            if process.poll() is not None or time.monotonic() - begun > patience:
                raise RuntimeError(
                    f"no answer (last status {status}); it said:\n{log.read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.01)
        yield Running(launch, port, process, time.monotonic() - begun, folder)
    finally:
        end(process)


def answered(target: Target) -> int:
    """Ask once; return the status, 0 for none."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        headers = {"content-type": "application/json", **target.headers}
        connection.request("POST", target.path, target.body.encode(), headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


class Measurement:
    """Everything about one gateway."""

    def __init__(self, running: Running, mock: str, sizes: Sizes) -> None:
        self._running = running
        self._mock_port = urlsplit(mock).port or 0
        self._sizes = sizes
        self._others = 0.0

    def all(self) -> dict[str, Any]:
        """Measure; the order is from idle to full load."""
        found: dict[str, Any] = {
            "on": self._running.launch.on,
            "cold_start_s": round(self._running.cold_start, 2),
            "memory_idle_mb": megabytes(self._running.pid),
        }
        self._warm()
        found["added"] = self.added()
        found["requests"] = {str(number): self.requests(number) for number in (16, 64)}
        found["frames"] = self.frames()
        found["sustained"] = self.sustained()
        found["clean_streams"] = self.clean_streams()
        found["memory_steady_mb"] = megabytes(self._running.pid)
        found["others_on_its_core"] = round(self._others, 2)
        return found

    def _target(self, model: str, *, stream: bool = False) -> Target:
        return self._running.launch.target("gateway", self._running.port, model, stream=stream)

    def _warm(self) -> None:
        load(Spec(mode="closed", targets=[self._target("whole")], connections=16, seconds=1.5))
        load(Spec(mode="streams", targets=[self._target("paced", stream=True)], connections=4, tokens=64, pace=0.02))

    def _watched(self, spec: Spec) -> tuple[dict[str, Any], float]:
        """Run a load; return what it found and the gateway's CPU seconds; note what others used of its core."""
        before, used = core(GATEWAY_CORE), cpu_seconds(self._running.pid)
        found = load(spec)
        spent = cpu_seconds(self._running.pid) - used
        if self._running.process.poll() is not None:
            log = (self._running.folder / "output.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"it ended with {self._running.process.returncode} in mid-run; it said:\n{log}")
        after = core(GATEWAY_CORE)
        if after.total > before.total:
            self._others = max(self._others, (after.busy - before.busy - spent) / (after.total - before.total))
        return found, spent

    def added(self) -> dict[str, Any]:
        """Latency of one request at a time, beside that of the mock alone; in milliseconds."""
        targets = [direct(self._mock_port, "whole"), self._target("whole")]
        found = load(
            Spec(mode="interleaved", targets=targets, rounds=self._sizes.rounds, requests=self._sizes.requests)
        )
        ours, alone = found["gateway"]["latency_ms"], found["direct"]["latency_ms"]
        return {
            **{name: round(ours[name] - alone[name], 3) for name in ("p50", "p99") if ours},
            "gateway": ours,
            "direct": alone,
            "failed": found["gateway"]["failed"],
        }

    def requests(self, connections: int) -> dict[str, Any]:
        """CPU microseconds of a request, and how many were answered in a second by a core that is full."""
        found, spent = self._watched(
            Spec(mode="closed", targets=[self._target("whole")], connections=connections, seconds=self._sizes.seconds)
        )
        return {**found, "cpu_us": round(spent / max(found["ok"], 1) * 1e6, 1)}

    def frames(self) -> dict[str, Any]:
        """CPU microseconds of a frame: of 50 streams at 50 tokens a second, their requests included."""
        spec = Spec(mode="streams", targets=[self._target("paced", stream=True)], connections=50, tokens=64, pace=0.02)
        found, spent = self._watched(spec)
        return {**found, "cpu_us": round(spent / max(found["frames"], 1) * 1e6, 1)}

    def sustained(self) -> dict[str, Any]:
        """Return the highest rate at which the 99th percentile stays under 50 ms, of an upstream that takes 20 ms."""
        tried: list[dict[str, Any]] = []
        best, beyond = 0.0, 0.0
        for rate in RATES:
            if rate > self._sizes.most_rate:
                break
            if not self._sustains(rate, tried):
                beyond = rate
                break
            best = rate
        for _ in range(2 if beyond and best else 0):
            middle = (best + beyond) / 2
            best, beyond = (middle, beyond) if self._sustains(middle, tried) else (best, middle)
        return {"rate": best, "tried": tried}

    def _sustains(self, rate: float, tried: list[dict[str, Any]]) -> bool:
        seconds = self._sizes.seconds
        found, _ = self._watched(Spec(mode="open", targets=[self._target("waiting")], rate=rate, seconds=seconds))
        p99 = found["latency_ms"].get("p99", float("inf"))
        tried.append(
            {"rate": rate, "p99_ms": p99, "failed": found["failed"], "load_cpu_seconds": found["load_cpu_seconds"]}
        )
        return not found["failed"] and p99 <= SLOWEST

    def clean_streams(self) -> dict[str, Any]:
        """Return the most streams of 50 tokens a second that all came whole, in order, without a gap over 10 frames.

        With them what a frame costs then: a gateway that is busy finds several in one read.
        """
        tried: list[dict[str, Any]] = []
        best, cost = 0, None
        for number in STREAMS:
            if number > self._sizes.most_streams:
                break
            spec = Spec(
                mode="streams", targets=[self._target("long", stream=True)], connections=number, tokens=150, pace=0.02
            )
            found, spent = self._watched(spec)
            seen = {
                name: found.get(name)
                for name in ("clean", "lost", "repeated", "misplaced", "failed", "load_cpu_seconds")
            }
            tried.append({"streams": number, **seen, "gap_ms": found["gap_ms"], "first_ms": found["first_ms"],
                          "cpu_us": round(spent / max(found["frames"], 1) * 1e6, 1)})  # fmt: skip
            if found["clean"] < number:
                break
            best, cost = number, tried[-1]["cpu_us"]
        return {"streams": best, "cpu_us": cost, "tried": tried}
