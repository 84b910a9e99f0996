"""What a gate asks: the section ``gate:`` of an experiment file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from pilothouse.core.errors import ConfigError

Where = Callable[..., str]

On = Literal["bound", "value"]
"""``bound`` = the whole interval must lie on one side of a limit; ``value`` = the figure decides as it stands."""

LATENCY = re.compile(r"^latency_p([1-9][0-9]?)$")
TOTALS = ("cost", "tokens")
MEASURED = ("tokens_per_row", "cost_per_row", "failed_rate")
"""Figures of the rows themselves, beside ``latency_p1`` to ``latency_p99``; no evaluator is needed for them."""


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The range in which a figure shall lie; one end may be open."""

    at_least: float | None = None
    at_most: float | None = None
    on: On = "bound"


class Margin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The largest loss against the baseline that does not matter, in the metric's own unit.

    ``margin: 0`` accepts no loss at all: only an improvement can then pass.
    """

    margin: Annotated[float, Meta(ge=0)]


class Flips(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows that were right in the baseline may be wrong now.

    Attributes:
        at_most: Rows.
        metric: A right-or-wrong metric; the primary when absent.
        on: ``bound`` = more of them fail the gate only when chance does not explain them; ``value`` = always.
    """

    at_most: Annotated[int, Meta(ge=0)] = 0
    metric: str | None = None
    on: On = "bound"


class MustPass(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that have to be right, each of them.

    Attributes:
        ids: Ids of rows.
        where: Column of the data -> the value that marks such a row; all of them must fit.
        metric: What is judged; the primary when absent.
        at_least: Of a metric that is not right or wrong: the value from which a row passes.
        at_most: The value up to which it does.
    """

    ids: tuple[str | int, ...] = ()
    where: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to hold before a variant may be used.

    Attributes:
        variant: The arm that is judged; needed where there are several.
        baseline: An alias or number of a blessed baseline, ``name@alias``, ``name:number``, or the file of one.
        alpha: Chance of a false failure accepted: for each limit, and over all regressions together. The
            experiment's when absent.
        min_rows: A figure over fewer rows is inconclusive, whatever it says.
        failed_rows: Rows without an answer, at most; None = any number.
        metrics: Metric -> range.
        regressions: Metric -> margin.
        flips: Rows that changed for the worse, at most.
        must_pass: Rows that have to be right.
        budget: ``cost`` (US dollars) and ``tokens`` of the whole run, ``latency_pNN`` in seconds: at most so much.
    """

    variant: str | None = None
    baseline: str | None = None
    alpha: Annotated[float, Meta(gt=0, lt=1)] | None = None
    min_rows: Annotated[int, Meta(ge=1)] = 20
    failed_rows: Annotated[int, Meta(ge=0)] | None = None
    metrics: dict[str, Limit] = field(default_factory=dict)
    regressions: dict[str, Margin] = field(default_factory=dict)
    flips: Flips | None = None
    must_pass: MustPass | None = None
    budget: dict[str, Annotated[float, Meta(ge=0)]] = field(default_factory=dict)

    @property
    def wants_baseline(self) -> bool:
        """Whether a rule compares with one."""
        return bool(self.regressions) or self.flips is not None

    @property
    def named_metrics(self) -> dict[str, tuple[str, ...]]:
        """Every metric that the gate names, and the keys under which it does."""
        found: dict[str, tuple[str, ...]] = {}
        for section in ("regressions", "metrics"):
            found |= {name: (section, name) for name in getattr(self, section)}
        for section in ("flips", "must_pass"):
            rule: Flips | MustPass | None = getattr(self, section)
            if rule is not None and rule.metric is not None:
                found[rule.metric] = (section, "metric")
        return found


def is_measured(metric: str) -> bool:
    """Return whether a metric needs no evaluator."""
    return metric in MEASURED or LATENCY.match(metric) is not None


def check_gate(gate: Gate, where: Where) -> None:
    """Refuse a gate that could not be meant.

    Args:
        gate: The gate.
        where: From keys inside the section to ``file:line``.

    Raises:
        ConfigError: with the line of the rule.
    """
    asks = (gate.metrics, gate.regressions, gate.budget, gate.flips, gate.must_pass, gate.failed_rows is not None)
    if not any(item is not None and item not in ({}, False) for item in asks):
        raise ConfigError(
            "the gate has no rule, so it would pass whatever happens",
            where=where(),
            expected="metrics, regressions, flips, must_pass, budget or failed_rows",
        )
    for name, limit in gate.metrics.items():
        _check_range(limit.at_least, limit.at_most, where("metrics", name))
    for name in gate.budget:
        if name not in TOTALS and LATENCY.match(name) is None:
            raise ConfigError(
                f"there is no budget '{name}'",
                where=where("budget", name),
                expected="cost, tokens, or latency_p50, latency_p95 and the like",
            )
    rule = gate.must_pass
    if rule is not None:
        if not rule.ids and not rule.where:
            raise ConfigError(
                "must_pass names no row", where=where("must_pass"), expected="ids: [...] or where: {column: value}"
            )
        if rule.at_least is not None or rule.at_most is not None:
            _check_range(rule.at_least, rule.at_most, where("must_pass"))


def _check_range(at_least: float | None, at_most: float | None, where: str) -> None:
    if at_least is None and at_most is None:
        raise ConfigError("the limit is missing", where=where, expected="at_least, at_most or both")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise ConfigError(f"nothing is at least {at_least:g} and at most {at_most:g}", where=where)
