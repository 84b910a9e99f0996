"""Evaluators of tool calls and of an agent's steps: what was called against what should have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

from msgspec import structs, to_builtins

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.metrics.tool_calls import Arguments, Call, parse_call, trajectory
from pilothouse.evaluation.types import Metric, Score

_RATES = ("exact", "in_order", "any_order", "no_extra")
_STEP_MEANS = ("precision", "recall", "f1")
_MEANS = (*_STEP_MEANS, "arguments")
_STEP_NAMES = ("name", "agent", "node", "step", "tool")


class ToolCalls:
    """Tool calls of a row: exact, in order, in any order, without others; precision, recall, F1, right arguments.

    Args:
        arguments: How arguments are compared: ``equal``, ``contain`` (those expected are among those made), ``ignore``.
        tolerance: Two numbers among them are the same when they differ by no more than this share, or than this.
        forbidden: Tools that must never be called: their absence is the rate ``tools_allowed``.
    """

    inline = True

    def __init__(
        self, *, arguments: Arguments = "equal", tolerance: float = 0.0, forbidden: Sequence[str] = ()
    ) -> None:
        if arguments not in get_args(Arguments):
            raise ConfigError(f"arguments are compared by '{arguments}'", expected=", ".join(get_args(Arguments)))
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0.0 <= tolerance < 1.0:
            raise ConfigError(f"the tolerance is {tolerance!r}", expected="a number from 0 to below 1")
        if isinstance(forbidden, str):
            raise ConfigError(f"the forbidden tools are {forbidden!r}", expected="a list of names")
        self._arguments: Arguments = arguments
        self._tolerance = float(tolerance)
        self._forbidden = frozenset(forbidden)
        self.metrics = (
            *_metrics("tools", (*_RATES, *_MEANS)),
            *(_metrics("tools", ("allowed",)) if self._forbidden else ()),
        )

    def __call__(self, calls: Any, expected: Any) -> list[Score]:
        """Judge one row.

        Args:
            calls: The calls that were made: a list, an answer of a model with ``tool_calls``, or None for none.
            expected: The calls that should have been; an empty list where none should.
        """
        wanted = _calls(expected)
        if wanted is None:
            raise DataError(f"the expected calls are {expected!r}", expected='a list of {"name", "arguments"}')
        made = _calls(calls)
        if made is None:
            evidence = {"calls": repr(calls)[:500]}
            return [Score(name=metric.name, state="unparsable", evidence=evidence) for metric in self.metrics]
        found = structs.asdict(trajectory(made, wanted, self._arguments, self._tolerance))
        found["allowed"] = not any(call.name in self._forbidden for call in made)
        return _scores("tools", self.metrics, found, to_builtins({"made": made, "expected": wanted}))


class Steps:
    """The way an agent went: its steps, by name, against those it should have taken.

    Exact, in order, in any order, without others; precision, recall and F1 of the steps.
    """

    inline = True

    def __init__(self) -> None:
        self.metrics = _metrics("steps", (*_RATES, *_STEP_MEANS))

    def __call__(self, steps: Any, expected: Any) -> list[Score]:
        """Judge one row.

        Args:
            steps: What was done, in order: names, or dicts with a ``name``, ``agent``, ``node``, ``step`` or ``tool``.
            expected: The same of what should have been.
        """
        wanted = _steps(expected)
        if wanted is None:
            raise DataError(f"the expected steps are {expected!r}", expected="a list of names")
        made = _steps([] if steps is None else steps)
        if made is None:
            evidence = {"steps": repr(steps)[:500]}
            return [Score(name=metric.name, state="unparsable", evidence=evidence) for metric in self.metrics]
        found = structs.asdict(trajectory(made, wanted, "ignore"))
        evidence = {"made": [call.name for call in made], "expected": [call.name for call in wanted]}
        return _scores("steps", self.metrics, found, evidence)


def _metrics(prefix: str, names: Sequence[str]) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            name=f"{prefix}_{name}",
            score=f"{prefix}_{name}",
            kind="rate" if name in {*_RATES, "allowed"} else "mean",
            worst=0.0,
            bounds=(0.0, 1.0),
        )
        for name in names
    )


def _scores(prefix: str, metrics: Sequence[Metric], found: dict[str, Any], evidence: Any) -> list[Score]:
    return [
        Score(name=metric.name, state="abstained" if value is None else "ok", value=value, evidence=evidence)
        for metric in metrics
        for value in (found[metric.name.removeprefix(f"{prefix}_")],)
    ]


def _steps(value: Any) -> list[Call] | None:
    """Return steps as calls without arguments; None when one of them has no name."""
    if not isinstance(value, list | tuple):
        return None
    names = [_step(item) for item in cast("Sequence[Any]", value)]
    found = [Call(name=name, arguments={}) for name in names if name]
    return found if len(found) == len(names) else None


def _step(item: Any) -> str | None:
    if isinstance(item, dict):
        fields = cast("dict[str, Any]", item)
        item = next((fields[name] for name in _STEP_NAMES if name in fields), None)
    return item if isinstance(item, str) else None


def _calls(value: Any) -> list[Call] | None:
    """Return the calls of a value; None when one of them cannot be read."""
    items: Any = [] if value is None or value == "" else value
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        is_message = "tool_calls" in fields or "function_call" in fields
        single = [fields["function_call"]] if fields.get("function_call") else []
        items = (fields.get("tool_calls") or single) if is_message else [fields]
    if not isinstance(items, list | tuple):
        return None
    found = [parse_call(item) for item in cast("list[Any]", items)]
    return [call for call in found if call is not None] if None not in found else None
