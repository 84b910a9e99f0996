"""Requests against a running gateway, and what counts as a defect: no answer, a defect of ours, an end, a leak."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ..plane.wire import Wire
from . import grammar
from .process import SECRET, Process

MOST_GROWN: Final = 150 << 20
"""Bytes of memory that a fuzzed process may grow by."""

_MOST_READ: Final = 4 << 20

ROOT: Final = Path(__file__).parents[3]
_MAKERS: Final[dict[str, Callable[[Random], bytes]]] = {"bodies": grammar.body, "heads": grammar.head}


class _Over(BaseException):
    """The time is over: ends hypothesis at once, which takes any other exception for a finding."""


class Findings:
    """What was tried, and what was wrong."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.defects: list[str] = []
        self.grown = 0

    def __str__(self) -> str:
        tried = ", ".join(f"{name} {count:,}" for name, count in self.tried.items())
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        return f"tried: {tried}\nstatuses: {statuses}\ngrown by {self.grown >> 20} MB\n" + (
            "\n".join(f"DEFECT {defect[:2000]}" for defect in self.defects[:20]) or "no defect"
        )

    def answer(self, target: str, asked: object, status: int, said: bytes) -> None:
        """Look at one answer."""
        self.tried[target] += 1
        self.statuses[status] += 1
        if b"internal_error" in said or b"Internal Server Error" in said or SECRET.encode() in said:
            self.defects.append(f"{target}: {status} {said[:300]!r} for {asked!r}")

    def end(self, process: Process, begun: int, *, asks: bool = True) -> None:
        """Look at what is left of a fuzzed process; `asks` whether it must still answer a call."""
        self.grown = max(self.grown, process.rss - begun)
        if process.process.poll() is not None or (asks and not process.sane()):
            self.defects.append("the gateway is dead, or answers no more")
        if process.rss - begun > MOST_GROWN:
            self.defects.append(f"its memory has grown by {process.rss - begun:,} bytes")
        said = process.said()
        if "Traceback" in said or SECRET in said:
            self.defects.append(f"its log: {said[-3000:]}")


def documents() -> dict[str, dict[str, Any]]:
    """Return the descriptions of both interfaces."""
    ingress = Path(__file__).with_name("ingress.json")
    return {"ingress": json.loads(ingress.read_text()), "admin": json.loads((ROOT / "docs/openapi.json").read_text())}


def try_requests(process: Process, found: Findings, name: str, chance: Random, seconds: float) -> None:
    """Send requests of one kind for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try_one(process, found, name, chance)


def try_one(process: Process, found: Findings, name: str, chance: Random) -> None:
    """Send one request, and look at all that comes back until the connection ends."""
    data = _MAKERS[name](chance)
    with Wire(process.port) as wire:
        wire.send(data)
        if name == "heads":
            wire.finish()
        try:
            # Who asks for 2**63 tokens gets them, as long as he listens.
            said = wire.rest(_MOST_READ)
        except TimeoutError:
            found.defects.append(f"{name}: no answer within the time, to {data[:3000]!r}")
            return
    status = int(said[9:12]) if said.startswith(b"HTTP/1.1 ") else 0
    if status == 0 and name == "bodies":
        found.defects.append(f"{name}: {said[:100]!r} for {data[:3000]!r}")
    found.answer(name, data[:3000], status, said)


def try_document(
    process: Process, found: Findings, name: str, document: dict[str, Any], seconds: float, *, examples: int = 10_000
) -> None:
    """Ask every operation of a description for what it allows, for a share of the time each."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations()]
    for place, operation in enumerate(operations):
        end = time.monotonic() + seconds / len(operations)
        _try_operation(process, found, name, operation, end, examples, place)


def _try_operation(
    process: Process, found: Findings, name: str, operation: Any, end: float, examples: int, place: int
) -> None:
    cases = st.one_of(
        operation.as_strategy(), operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    )

    @seed(place)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case: Any) -> None:
        if time.monotonic() > end:
            raise _Over
        answer = case.call(base_url=f"http://127.0.0.1:{process.port}", timeout=20, allow_redirects=False)
        found.answer(name, case.as_curl_command(), answer.status_code, answer.content)

    try:
        ask()
    except _Over:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the operation
        found.defects.append(f"{name}: {operation.label}: {type(error).__name__}: {str(error)[:1500]}")
