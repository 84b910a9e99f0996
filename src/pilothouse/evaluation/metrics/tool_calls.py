"""Tool calls that were made against those that were expected; also the steps of an agent's trajectory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

from msgspec import Struct

Arguments = Literal["equal", "contain", "ignore"]
"""How arguments are compared: equal as JSON values; those expected are among those made; by name alone."""


class Call(Struct, frozen=True, kw_only=True):
    """One call: the tool's name and its arguments."""

    name: str
    arguments: dict[str, Any]


class Trajectory(Struct, frozen=True, kw_only=True):
    """How the calls that were made fit the calls that were expected.

    Attributes:
        exact: The same calls in the same order, and no other.
        in_order: All expected calls in their order; others may stand between.
        any_order: All expected calls, in any order; others may be there: what was made is a superset.
        no_extra: No call that was not expected: what was made is a subset. Where none was expected, that none was made.
        precision: Share of the calls made that were expected; None when none was made.
        recall: Share of the expected calls that were made; None when none was expected.
        f1: 2 x matched / (made + expected); 1.0 when nothing was to be called and nothing was.
        arguments: Share of calls with right arguments among those to a right tool; None when there is none.
    """

    exact: bool
    in_order: bool
    any_order: bool
    no_extra: bool
    precision: float | None
    recall: float | None
    f1: float
    arguments: float | None


_Fits = Callable[[Call, Call], bool]


def trajectory(
    made: Sequence[Call], expected: Sequence[Call], arguments: Arguments = "equal", tolerance: float = 0.0
) -> Trajectory:
    """Compare two sequences of calls; a call is matched once.

    Args:
        made: In their order.
        expected: In their order.
        arguments: How arguments are compared.
        tolerance: Two numbers are the same when they differ by no more than this share of the greater, or than this.
    """
    fits = partial(agree, arguments=arguments, tolerance=tolerance)
    matched = _matched(made, expected, fits)
    named = _matched(made, expected, partial(agree, arguments="ignore"))
    total = len(made) + len(expected)
    return Trajectory(
        exact=len(made) == len(expected) and all(map(fits, made, expected)),
        in_order=_in_order(made, expected, fits),
        any_order=matched == len(expected),
        no_extra=matched == len(made),
        precision=matched / len(made) if made else None,
        recall=matched / len(expected) if expected else None,
        f1=2.0 * matched / total if total else 1.0,
        arguments=_matched(made, expected, partial(agree, arguments="equal", tolerance=tolerance)) / named
        if named
        else None,
    )


def agree(made: Call, expected: Call, arguments: Arguments, tolerance: float = 0.0) -> bool:
    """Return whether one call is the other."""
    if made.name != expected.name:
        return False
    if arguments == "ignore":
        return True
    if arguments == "contain":
        return all(
            key in made.arguments and _same(made.arguments[key], value, tolerance)
            for key, value in expected.arguments.items()
        )
    return _same(made.arguments, expected.arguments, tolerance)


def _same(one: Any, other: Any, tolerance: float) -> bool:
    # Python holds True == 1; JSON does not. 1 and 1.0 are one number in both.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return left.keys() == right.keys() and all(_same(left[key], right[key], tolerance) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(items) == len(others) and all(map(lambda a, b: _same(a, b, tolerance), items, others))
    if tolerance and isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == other)


def _in_order(made: Sequence[Call], expected: Sequence[Call], fits: _Fits) -> bool:
    rest = iter(made)
    return all(any(fits(item, wanted) for item in rest) for wanted in expected)


def _matched(made: Sequence[Call], expected: Sequence[Call], fits: _Fits) -> int:
    """Return the size of a largest matching (augmenting paths: a call may fit several, when arguments may contain)."""
    partner: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for other, item in enumerate(made):
            if other not in seen and fits(item, expected[index]):
                seen.add(other)
                if other not in partner or place(partner[other], seen):
                    partner[other] = index
                    return True
        return False

    return sum(place(index, set()) for index in range(len(expected)))


def parse_call(item: Any) -> Call | None:
    """Return a call out of OpenAI's form, ``{"name", "arguments"}`` or a bare name; None for anything else.

    Arguments may be a dict or JSON text of one.
    """
    if isinstance(item, str):
        return Call(name=item, arguments={}) if item else None
    fields = _dict(item)
    function = _dict(fields.get("function", fields)) if fields is not None else None
    if function is None or not isinstance(function.get("name"), str):
        return None
    arguments: Any = function.get("arguments", function.get("args", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return None
    given = _dict(arguments)
    return Call(name=function["name"], arguments=given) if given is not None else None


def _dict(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
