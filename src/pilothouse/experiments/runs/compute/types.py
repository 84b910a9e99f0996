"""Where rows may be computed, and what the driver and its workers on Ray say beyond what all workers say."""

from __future__ import annotations

import re

from msgspec import Struct

from pilothouse.core.errors import ConfigError, PilothouseError
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.isolation.types import Answer
from pilothouse.flows.results import LineResult

LOCAL = "local"
"""On this machine without Ray: in this process, or in the processes that isolation asks for."""

RAY = "ray"
"""On a Ray of this machine, which is started for the run and ends with it."""

AUTO = "auto"
"""On the Ray that already runs on this machine, as Ray itself finds it."""

_ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")

EXPECTED = "local, ray, auto, ray://HOST:10001 or HOST:6379"


def check_compute(text: str, where: str | None = None) -> str:
    """Return a place where rows may be computed.

    Raises:
        ConfigError: when it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if text not in (LOCAL, RAY, AUTO) and (match is None or not 0 < int(match["port"]) < 65536):
        raise ConfigError(f"'{text}' is no place to compute rows", where=where, expected=EXPECTED)
    return text


class NoRoom(ConfigError):
    """The cluster has no free processor for a worker."""


class WorkerLost(PilothouseError):
    """A worker on Ray, or the node that it ran on, ended in the middle of its work."""

    exit_code = 1


class Hello(Struct, frozen=True):
    """What a new worker says of the place where it is."""

    pilothouse: str
    python: str
    pid: int
    node: str


class Deliver(Struct, frozen=True):
    """Lines of an attempt to run, so many at once. Each says all it needs: Ray keeps no order between calls."""

    lines: tuple[Line, ...]
    attempt: int
    concurrency: int


class Answers(Struct, frozen=True):
    """What the node cache holds for some questions."""

    items: tuple[Answer, ...]


class Collate(Struct, frozen=True):
    """Aggregate completed lines."""

    lines: tuple[LineResult, ...]


RayOrder = Deliver | Answers | Collate
