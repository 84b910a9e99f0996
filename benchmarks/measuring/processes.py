"""What a command costs with all its processes: CPU, wall time, memory. Read from /proc, so on Linux."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

INTERVAL = 0.05
_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What one command cost.

    Attributes:
        wall: Seconds from start to end.
        cpu: CPU seconds of the whole tree.
        memory: Most memory of the whole tree at one moment, in MB (PSS: what is shared is counted once).
        processes: Most processes at one moment.
        output: What it printed.
    """

    wall: float
    cpu: float
    memory: float
    processes: int
    output: str


class _Process(NamedTuple):
    number: int
    cpu: float


def cost(command: Sequence[str], folder: Path, environment: Mapping[str, str], *, memory: bool = True) -> Cost:
    """Run a command to its end and return what it cost.

    Raises:
        RuntimeError: when it fails, with what it printed.
    """
    before = _waited()
    began = time.monotonic()
    output = folder / ".output"
    with output.open("wb") as sink:
        # A session of its own: its processes are found by it, even those whose parent has gone.
        running = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        seen: dict[int, float] = {}
        most_memory, most_processes = 0.0, 1
        while running.poll() is None:
            alive = _session(running.pid)
            seen.update({item.number: item.cpu for item in alive})
            most_processes = max(most_processes, len(alive))
            if memory:
                most_memory = max(most_memory, sum(_proportional(item.number) for item in alive))
            time.sleep(INTERVAL)
    wall = time.monotonic() - began
    text = output.read_text(errors="replace")
    output.unlink()
    if running.returncode:
        raise RuntimeError(f"{' '.join(command)} left with {running.returncode}:\n{text[-3000:]}")
    # A process that nobody waited for is missing in the first sum; one that lived between two looks in the second.
    return Cost(wall, max(_waited() - before, sum(seen.values())), most_memory, most_processes, text)


def _waited() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _session(leader: int) -> list[_Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # Fields 3 (state), 6 (session), 14 and 15 (CPU) of proc(5).
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(_Process(int(entry.name), (int(fields[11]) + int(fields[12])) / _TICK))
    return found


def _proportional(number: int) -> float:
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def written(folder: Path, before: set[Path]) -> tuple[int, int]:
    """Return how many files below ``folder`` are new, and their bytes; Python's own caches do not count."""
    new = [path for path in files(folder) if path not in before]
    return len(new), sum(path.stat().st_size for path in new)


def files(folder: Path) -> set[Path]:
    """Return every file below ``folder``."""
    return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
