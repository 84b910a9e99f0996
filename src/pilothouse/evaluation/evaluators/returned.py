"""From what an evaluator returned to scores, by strict rules: nothing becomes a number that was not one.

===============================  ==========================================================================
returned                         score
===============================  ==========================================================================
``True``, ``False``              a boolean (its mean is a rate)
a finite number                  a number; NumPy's and `decimal.Decimal` too
NaN, an infinity                 state ``error``
``None``                         state ``abstained``
`LabelPair`                      whether prediction and truth agree, with the labels beside it
`Score`                          itself; its name, or the evaluator's
a text                           state ``error``: a category is said with ``Score(value="...")``
a dict                           one score for each entry that is a number, boolean, None, Score or LabelPair;
                                 the other entries are the evidence of all of them. Without any such entry:
                                 state ``error``; of a flow, its texts are categories
a list or tuple of `Score`       each
anything else                    state ``error``
===============================  ==========================================================================
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, cast

import msgspec
from msgspec import structs

from pilothouse.evaluation.types import LabelPair, Score
from pilothouse.flows.results import ErrorInfo

_SHOWN = 200
_MEASURES = (bool, Real, Decimal, LabelPair, Score, type(None))


def scores_of(returned: Any, name: str, *, texts_are_categories: bool = False) -> tuple[Score, ...]:
    """Return the scores that a returned value stands for; those without a name of their own are called ``name``."""
    value = _scalar(returned)
    if isinstance(value, Mapping):
        return _of_mapping(cast("Mapping[Any, Any]", value), name, texts_are_categories)
    if isinstance(value, list | tuple) and value:
        items = cast("Sequence[Any]", value)
        if all(isinstance(item, Score) for item in items):
            scores = tuple(_of_value(item, name) for item in items)
            twice = next((n for n, times in Counter(score.name for score in scores).items() if times > 1), None)
            return scores if twice is None else (_refused(name, value, f"two scores named '{twice}'"),)
    return (_of_value(value, name),)


def _of_mapping(returned: Mapping[Any, Any], name: str, texts_are_categories: bool) -> tuple[Score, ...]:
    if not all(isinstance(key, str) for key in returned):
        return (_refused(name, returned, "a dict with names that are not texts"),)
    items = {key: _scalar(value) for key, value in returned.items()}
    measured = {key: value for key, value in items.items() if isinstance(value, _MEASURES)}
    rest = {key: value for key, value in items.items() if key not in measured}
    if not measured and texts_are_categories:
        categories = {key: value for key, value in items.items() if isinstance(value, str)}
        if categories:
            return tuple(Score(name=key, value=text) for key, text in categories.items())
    if not measured:
        return (_refused(name, returned, "a dict without a number, a boolean or None"),)
    evidence = plain(rest) if rest else None
    scores = (_of_value(value, key) for key, value in measured.items())
    return tuple(structs.replace(s, evidence=evidence) if s.evidence is None else s for s in scores)


def _of_value(value: Any, name: str) -> Score:
    match value:
        case None:
            return Score(name=name, state="abstained")
        case bool():
            return Score(name=name, value=value)
        case Score():
            return _checked(structs.replace(value, name=value.name or name))
        case LabelPair():
            return Score(name=name, value=value.truth == value.prediction, labels=value)
        case Real() | Decimal():
            number = float(value)
            return Score(name=name, value=number) if math.isfinite(number) else _not_finite(name, number)
        case str():
            return _refused(name, value, "a text")
        case _:
            return _refused(name, value, f"a value of type {type(value).__name__}")


def _checked(score: Score) -> Score:
    """Return a score that an evaluator made itself, if it is one in itself."""
    score = structs.replace(score, evidence=plain(score.evidence))
    if score.state == "ok":
        if score.value is None and score.labels is not None:
            return structs.replace(score, value=score.labels.truth == score.labels.prediction)
        if isinstance(score.value, str) and score.value:
            return score
        found = _of_value(_scalar(score.value), score.name)
        if found.state == "ok":
            return structs.replace(score, value=found.value)
        return _refused(score.name, score.value, f"a Score in state 'ok' with the value {score.value!r}")
    if score.value is not None:
        return _refused(score.name, score.value, f"a Score in state '{score.state}' with a value")
    if score.state == "error" and score.error is None:
        return structs.replace(score, error=ErrorInfo(type="EvaluatorError", message="the evaluator gave no reason"))
    return score


def _not_finite(name: str, number: float) -> Score:
    message = f"the evaluator returned {number}: not a number that can be averaged"
    return Score(name=name, state="error", error=ErrorInfo(type="NotFinite", message=message), evidence=str(number))


def _refused(name: str, returned: Any, what: str) -> Score:
    message = (
        f"the evaluator returned {what}; expected a boolean, a finite number, None, a Score, a LabelPair, "
        'or a dict of these (a category is Score(value="..."))'
    )
    return Score(
        name=name,
        state="error",
        error=ErrorInfo(type="EvaluatorReturn", message=message),
        evidence={"returned": repr(returned)[:_SHOWN]},
    )


def _scalar(value: Any) -> Any:
    """Return a NumPy scalar as the Python value that it holds."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data; what has no JSON form is written out as text, NaN too."""
    try:
        return _finite(msgspec.to_builtins(value, str_keys=True, enc_hook=repr))
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[Any]", value)]
    return value
