"""The script of shared limits, and rules as it takes them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec
from msgspec import Struct

from pilothouse.core.errors import ConfigError
from pilothouse.gateway.limits.rules import Bound, Plan, Rule
from pilothouse.gateway.limits.windows import FOREVER, window
from pilothouse.gateway.types import NANO

MOST: Final = 9_000_000 * NANO
"""The highest limit, also of money in nano-dollars: beyond 2^53 the server's numbers are not whole any more."""

_WHOLE: Final = 1 << 50
_TICKS: Final = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000)
_WHATS: Final = {"requests": "r", "tokens": "t", "dollars": "d", "concurrency": "c"}
_KINDS: Final = {"pace": "p", "tally": "t", "count": "c"}


class Script(Struct, frozen=True, kw_only=True):
    """The script of one epoch.

    Attributes:
        text: Lua.
        sha: Its SHA-1, by which a server knows it.
    """

    text: str
    sha: str


class Wire(Struct, frozen=True, kw_only=True):
    """A rule for one caller, as the script takes it. Times in milliseconds where nothing else is said.

    Attributes:
        key: The counter's key, the window's begin included.
        kind: ``p`` pace, ``t`` tally, ``c`` count.
        what: ``r`` requests, ``t`` tokens, ``d`` dollars, ``c`` concurrency.
        limit: The most of it.
        enforce: 1 where it refuses.
        warn: From here on a warning is due.
        length: Ticks in a rolling window.
        tick: Microseconds: what leaks, leaks in whole ticks, so that numbers stay whole.
        identity: The rule's.
        begin: Of the calendar window.
        ends: Of the calendar window; 0 for never.
    """

    key: str
    kind: str
    what: str
    limit: int
    enforce: int
    warn: int
    length: int = 0
    tick: int = 0
    identity: str = ""
    begin: int = 0
    ends: int = 0


class Packed(Struct, frozen=True, kw_only=True):
    """A plan as the script takes it.

    Attributes:
        until_ns: When one of its calendar windows ends.
        since_ns: The latest begin of them.
        blob: All rules, packed.
        wires: The rules one by one.
    """

    until_ns: int
    since_ns: int
    blob: bytes
    wires: tuple[Wire, ...]


@lru_cache(maxsize=16)
def script(epoch: str) -> Script:
    """Return the script of an epoch: its text names the epoch, so a server that is new does not know it."""
    text = f"local EPOCH = '{epoch}'\n" + files("pilothouse.gateway.limits.shared").joinpath("limits.lua").read_text(
        "utf-8"
    )
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def pack(plan: Plan, at_ns: int) -> Packed:
    """Return a plan for calls that come in the calendar windows of a moment."""
    wires = tuple(wire(bound, at_ns) for bound in plan.bounds)
    windows = [
        window(bound.rule.period, at_ns) for bound in plan.bounds if bound.rule.kind == "tally" and bound.rule.period
    ]
    return Packed(
        until_ns=min((end for _, end in windows), default=FOREVER),
        since_ns=max((begin for begin, _ in windows), default=0),
        blob=msgspec.msgpack.encode(wires),
        wires=wires,
    )


def wire(bound: Bound, at_ns: int) -> Wire:
    """Return a rule for one caller, in the calendar window of a moment."""
    rule = bound.rule
    begin, end = window(rule.period, at_ns) if rule.kind == "tally" and rule.period else (0, FOREVER)
    tick = ticks(rule)
    return Wire(
        key=f"{bound.key}@{begin // 1_000_000}" if rule.kind == "tally" else bound.key,
        kind=_KINDS[rule.kind],
        what=_WHATS[rule.resource],
        limit=rule.limit,
        enforce=int(rule.enforce),
        warn=rule.warn_at,
        length=rule.length // 1000 // tick,
        tick=tick,
        identity=rule.identity,
        begin=begin // 1_000_000,
        ends=0 if end == FOREVER else end // 1_000_000,
    )


def ticks(rule: Rule) -> int:
    """Return the shortest tick in microseconds with which a whole window's level stays below 2^50.

    Raises:
        ConfigError: There is none, or the limit is above ``MOST``.
    """
    if rule.limit > MOST:
        raise ConfigError(
            f"The limit {rule.name!r} is too high to be shared",
            expected=f"at most {MOST:,}: $9,000,000 as money",
            fix="Split it into shorter windows.",
        )
    length = rule.length // 1000
    for tick in _TICKS:
        if length % tick == 0 and length // tick * rule.limit <= _WHOLE:
            return tick
    raise ConfigError(f"The limit {rule.name!r} is too high to be shared", expected=f"at most {_WHOLE:,} in a window")
