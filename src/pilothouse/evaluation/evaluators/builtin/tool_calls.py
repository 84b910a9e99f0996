"""Evaluator of tool calls and trajectories: what was called against what should have been."""

from __future__ import annotations

from typing import Any, cast, get_args

from msgspec import structs, to_builtins

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.metrics.tool_calls import Arguments, Call, parse_call, trajectory
from pilothouse.evaluation.types import Metric, Score

_RATES = ("exact", "in_order", "any_order", "no_extra")
_MEANS = ("precision", "recall", "f1", "arguments")


class ToolCalls:
    """Tool calls of a row: exact, in order, in any order, without others; precision, recall, F1, right arguments.

    Args:
        arguments: How arguments are compared: ``equal``, ``contain`` (those expected are among those made), ``ignore``.
    """

    inline = True

    def __init__(self, *, arguments: Arguments = "equal") -> None:
        if arguments not in get_args(Arguments):
            raise ConfigError(f"arguments are compared by '{arguments}'", expected=", ".join(get_args(Arguments)))
        self._arguments: Arguments = arguments
        self.metrics = tuple(
            Metric(
                name=f"tools_{name}",
                score=f"tools_{name}",
                kind="rate" if name in _RATES else "mean",
                worst=0.0,
                bounds=(0.0, 1.0),
            )
            for name in (*_RATES, *_MEANS)
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
        found = structs.asdict(trajectory(made, wanted, self._arguments))
        evidence = to_builtins({"made": made, "expected": wanted})
        return [
            Score(name=metric.name, state="abstained" if value is None else "ok", value=value, evidence=evidence)
            for metric in self.metrics
            for value in (found[metric.name.removeprefix("tools_")],)
        ]


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
