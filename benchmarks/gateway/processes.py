"""What a running process and its children cost, and how busy the machine is besides; read from /proc, so on Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Load(NamedTuple):
    """Seconds since boot that a core was busy, and that it was there at all."""

    busy: float
    total: float


def descendants(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [root]
    while left:
        number = left.pop()
        found.append(number)
        left += parents.get(number, [])
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process tree, finely where the kernel tells it, with the children it waited for."""
    total = 0.0
    for number in descendants(root):
        try:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ran = 0.0
            for task in Path(f"/proc/{number}/task").iterdir():
                ran += int((task / "schedstat").read_text().split()[0]) / 1e9
        except (OSError, IndexError):
            continue
        # A thread that has ended is missing in the sum over threads, one tick is missing in the other.
        total += max(ran, (int(fields[11]) + int(fields[12])) / _TICK)
        total += (int(fields[13]) + int(fields[14])) / _TICK
    return total


def megabytes(root: int) -> float:
    """Return the memory of a process tree: what is shared is counted once (PSS)."""
    total = 0.0
    for number in descendants(root):
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)
    return round(total, 1)


def core(number: int) -> Load:
    """Return how long a core has been busy."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{number}":
            spent = [int(field) / _TICK for field in fields[:8]]
            return Load(sum(spent) - spent[3] - spent[4], sum(spent))
    raise LookupError(f"there is no core {number}")


def busy(cores: list[int], seconds: float = 2.0) -> float:
    """Return the share of these cores that is used by others now, 0 to 1."""
    before = [core(number) for number in cores]
    time.sleep(seconds)
    after = [core(number) for number in cores]
    used = sum(later.busy - earlier.busy for earlier, later in zip(before, after, strict=True))
    there = sum(later.total - earlier.total for earlier, later in zip(before, after, strict=True))
    return used / there if there else 0.0


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, and all of that session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            time.sleep(0.2)
    process.wait()
