"""The mock's own bill: what a provider would charge for what it served, in integer nano-dollars."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import msgspec
from msgspec import Struct

Prices = dict[str, int]
"""Nano-dollars of one unit: a field of `Used`, or `request`. What has no price of its own costs what its whole costs."""

STANDARD: Prices = {"input": 1_000, "output": 4_000, "cached": 100, "write": 1_250, "writelong": 2_000}


class Used(Struct, kw_only=True):
    """What one call used; parts are counted in their whole: `input` includes `cached`, `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    write: int = 0
    writelong: int = 0
    audioin: int = 0
    imagein: int = 0
    reasoning: int = 0
    audioout: int = 0
    images: int = 0
    characters: int = 0
    milliseconds: int = 0
    searches: int = 0


class Line(Struct, kw_only=True):
    """One request on the bill.

    Attributes:
        id: The mock's number of the request; also the header `x-request-id` of the answer.
        client_id: The `x-request-id` or `idempotency-key` that came with the request.
        model: As the request named it.
        path: As requested.
        stream: Whether the answer was streamed.
        status: `open` as long as it is answered; `aborted`: the client went away; `cut`: the mock broke it off;
            `fault`: it was answered with an error, which costs nothing.
        used: Up to now; of an aborted stream the tokens that had been sent.
        cost: Nano-dollars for `used`.
        told: What the request told the mock to do.
    """

    id: str
    client_id: str = ""
    model: str = ""
    path: str = ""
    stream: bool = False
    status: Literal["open", "served", "aborted", "cut", "fault"] = "open"
    used: Used = msgspec.field(default_factory=Used)
    cost: int = 0
    told: str = ""


def cost(prices: Prices, used: Used) -> int:
    """Return the price of what was used, in nano-dollars."""
    reading, writing = prices.get("input", 0), prices.get("output", 0)
    parts_in = ("cached", "write", "writelong", "audioin", "imagein")
    parts_out = ("reasoning", "audioout")
    total = (used.input - sum(getattr(used, name) for name in parts_in)) * reading
    total += (used.output - sum(getattr(used, name) for name in parts_out)) * writing
    total += sum(getattr(used, name) * prices.get(name, reading) for name in parts_in)
    total += sum(getattr(used, name) * prices.get(name, writing) for name in parts_out)
    total += sum(
        getattr(used, name) * prices.get(name, 0) for name in ("images", "characters", "milliseconds", "searches")
    )
    return total + prices.get("request", 0)


class Bill:
    """All lines since the last reset, and their sums.

    Attributes:
        prices: Of each model; those of `*` are for every other one.
        lines: Every request, the oldest first; left empty where `itemised` is false.
    """

    def __init__(self, prices: dict[str, Prices] | None = None, *, itemised: bool = True) -> None:
        self.prices = {"*": STANDARD, **(prices or {})}
        self.itemised = itemised
        self.lines: list[Line] = []
        self._number = 0
        self._clear()

    def _clear(self) -> None:
        self.lines.clear()
        self._counts: Counter[str] = Counter()
        self._used: Counter[str] = Counter()
        self._cost: Counter[str] = Counter()
        self._frames = 0

    def reset(self) -> None:
        """Forget everything but the prices."""
        self._clear()

    def open(self, model: str, path: str, *, stream: bool, client_id: str, told: str = "") -> Line:
        """Begin a line."""
        self._number += 1
        line = Line(
            id=f"req_{self._number:012d}", client_id=client_id, model=model, path=path, stream=stream, told=told
        )
        self._counts["requests"] += 1
        self._counts["streams"] += stream
        if self.itemised:
            self.lines.append(line)
        return line

    def close(self, line: Line, status: Literal["served", "aborted", "cut", "fault"], used: Used | None) -> None:
        """End a line; the first end counts."""
        if line.status != "open":
            return
        line.status = status
        self._counts[status] += 1
        if used is not None:
            line.used = used
            line.cost = cost(self.prices.get(line.model) or self.prices["*"], used)
            self._cost[line.model] += line.cost
            self._cost["*"] += line.cost
            for name in Used.__struct_fields__:
                self._used[name] += getattr(used, name)

    def sent(self, frames: int) -> None:
        """Count frames of streams."""
        self._frames += frames

    @property
    def total(self) -> int:
        """Nano-dollars of all lines."""
        return self._cost["*"]

    def count(self, name: str) -> int:
        """Return how many requests there were: `requests`, `streams`, or a status of `Line`."""
        return self._counts[name]

    def report(self) -> dict[str, Any]:
        """Return the bill as plain data; `open` are requests that are being answered."""
        statuses = ("served", "aborted", "cut", "fault")
        counts = {name: self._counts[name] for name in ("requests", "streams", *statuses)}
        return {
            **counts,
            "open": counts["requests"] - sum(counts[name] for name in statuses),
            "frames": self._frames,
            "used": {name: self._used[name] for name in Used.__struct_fields__},
            "cost": self.total,
            "models": {name: value for name, value in self._cost.items() if name != "*"},
            "lines": msgspec.to_builtins(self.lines),
        }
