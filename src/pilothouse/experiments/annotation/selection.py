"""Which rows become items."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from pilothouse.core.errors import DataError, NotFound, UserError, nearest_hint
from pilothouse.evaluation.annotation.order import chance
from pilothouse.evaluation.annotation.types import Choosing
from pilothouse.evaluation.types import Score
from pilothouse.experiments.annotation.types import Candidate, Filters

_CONDITION = re.compile(r"\s*(?P<name>[^<>=\s]+)\s*(?P<sign><=|>=|<|>|=)\s*(?P<value>.+?)\s*")
_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def chosen(
    rows: Sequence[Candidate], filters: Filters, must_pass: Collection[str], seed: int
) -> tuple[list[Candidate], Choosing]:
    """Return the rows that become items, and how they were chosen.

    Args:
        rows: All rows.
        filters: What they must fit.
        must_pass: Ids of the rows that have to be right.
        seed: Of the sample.

    Raises:
        DataError: none fits.
        UserError: a condition cannot be read, or names a score that no row has.
    """
    kept = list(rows)
    words: list[str] = []
    for word, fits in _tests(rows, filters, must_pass):
        words.append(word)
        kept = [row for row in kept if fits(row)]
    if not kept:
        told = " and ".join(words)
        raise DataError(
            f"none of {len(rows):,} rows fits: {told}" if words else "there are no rows", fix="ask for less"
        )
    sampled = filters.sample is not None and filters.sample < len(kept)
    if sampled:
        kept = sorted(kept, key=lambda row: chance(seed, "sample", row.id))[: filters.sample]
    return kept, Choosing(rows=len(rows), kept=len(kept), filters=tuple(words), sampled=sampled)


def _tests(
    rows: Sequence[Candidate], filters: Filters, must_pass: Collection[str]
) -> list[tuple[str, Callable[[Candidate], bool]]]:
    found: list[tuple[str, Callable[[Candidate], bool]]] = []
    if filters.failed:
        found.append(("without an answer", lambda row: row.failed))
    if filters.disagree:
        found.append(("arms disagree", lambda row: len({judged.answer for judged in row.judged}) > 1))
    if filters.must_pass:
        found.append(("have to be right", lambda row: row.line in must_pass))
    if filters.abstained:
        name = filters.abstained
        _refuse_unknown(rows, name)
        found.append((f"{name} gave no score", lambda row: _without(row, name)))
    found += [(condition.strip(), _condition(rows, condition)) for condition in filters.scores]
    return found


def _condition(rows: Sequence[Candidate], text: str) -> Callable[[Candidate], bool]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UserError(f"{text!a} is no condition", where="--score", expected="NAME<0.5, NAME>=3 or NAME=false")
    name, compare = match["name"], _SIGNS[match["sign"]]
    wanted: bool | float | str = _WORDS.get(match["value"].lower(), match["value"])
    if not isinstance(wanted, bool):
        try:
            wanted = float(match["value"])
        except ValueError:
            if match["sign"] != "=":
                raise UserError(
                    f"{match['value']!a} is no number", where="--score", expected=f"{name}{match['sign']}0.5"
                ) from None
    _refuse_unknown(rows, name)

    def fits(row: Candidate) -> bool:
        value = next((score.value for score in row.scores if score.name == name and score.state == "ok"), None)
        if value is None or isinstance(value, str) != isinstance(wanted, str):
            return False
        return compare(value, wanted)

    return fits


def _without(row: Candidate, name: str) -> bool:
    said: list[Score] = [score for score in row.scores if score.evaluator == name and not score.failed_upstream]
    return bool(said) and all(score.state != "ok" for score in said)


def _refuse_unknown(rows: Sequence[Candidate], name: str) -> None:
    known = {known for row in rows for score in row.scores for known in (score.name, score.evaluator)}
    if not known:
        raise UserError("these rows have no scores", fix="choose from an experiment: --experiment NAME")
    if name not in known:
        raise NotFound(f"no evaluator gave a score '{name}'", expected=nearest_hint(name, known))
