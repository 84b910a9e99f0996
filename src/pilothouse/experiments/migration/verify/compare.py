"""Two JSON values side by side: the places where they differ, and whether they are alike by the rules."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from typing import Any, Final, cast

from pilothouse.experiments.migration.verify.types import Difference, Rules

ABSENT: Final = "(absent)"
_AROUND: Final = 20
_LONGEST: Final = 60
_IMAGE: Final = ";base64"

_MISSING: Final = object()


def differences(there: Any, here: Any, rules: Rules, path: str = "$") -> Iterator[Difference]:
    """Yield the places where two values differ, in order. Whole numbers equal their floats, NaN equals NaN."""
    if isinstance(there, dict) and isinstance(here, dict):
        left, right = cast("dict[str, Any]", there), cast("dict[str, Any]", here)
        for key in dict.fromkeys((*left, *right)):
            yield from differences(left.get(key, _MISSING), right.get(key, _MISSING), rules, f"{path}.{key}")
    elif isinstance(there, list) and isinstance(here, list):
        members, others = cast("list[Any]", there), cast("list[Any]", here)
        for index in range(max(len(members), len(others))):
            member = members[index] if index < len(members) else _MISSING
            other = others[index] if index < len(others) else _MISSING
            yield from differences(member, other, rules, f"{path}[{index}]")
    elif not _equal(there, here):
        shown = _shown(there, here)
        yield Difference(path=path, there=shown[0], here=shown[1], alike=_alike(there, here, rules))


def _equal(there: Any, here: Any) -> bool:
    if _is_number(there) and _is_number(here):
        return there == here or (math.isnan(there) and math.isnan(here))
    if isinstance(there, str) and isinstance(here, str):
        return there == here
    return type(there) is type(here) and bool(there == here)


def _alike(there: Any, here: Any, rules: Rules) -> bool:
    if _is_number(there) and _is_number(here):
        return math.isclose(there, here, rel_tol=rules.tolerance, abs_tol=rules.tolerance)
    if isinstance(there, str) and isinstance(here, str):
        if rules.ignore_space and there.split() == here.split():
            return True
        return rules.similar is not None and similarity(there, here) >= rules.similar
    return False


def similarity(there: str, here: str) -> float:
    """Return how alike two texts are, 0 to 1: twice the words they share in order, by the words of both."""
    return difflib.SequenceMatcher(None, there.split(), here.split(), autojunk=False).ratio()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(there: Any, here: Any) -> tuple[str, str]:
    """Return both values as short texts; of long ones the part around the first difference."""
    left, right = _text(there), _text(here)
    if max(len(left), len(right)) <= _LONGEST:
        return left, right
    pairs = enumerate(zip(left, right, strict=False))
    first = next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))
    return _cut(left, first), _cut(right, first)


def _cut(text: str, place: int) -> str:
    start = max(place - _AROUND, 0)
    end = start + _LONGEST
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def _text(value: Any) -> str:
    if value is _MISSING:
        return ABSENT
    if isinstance(value, dict) and len(cast("dict[str, Any]", value)) == 1:
        key, content = next(iter(cast("dict[str, Any]", value).items()))
        if key.endswith(_IMAGE) and isinstance(content, str):
            return f"an image of {len(content) * 3 // 4} bytes"
    return json.dumps(value, ensure_ascii=False, default=str)
