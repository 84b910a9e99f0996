"""Labels that people gave, read from rows of a file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.datasets.types import Row
from pilothouse.evaluation.calibration.types import Label, Part, Value
from pilothouse.evaluation.judges.rubric import Rubric

_BINARY: dict[str, Value] = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_PAIRWISE: dict[str, Value] = {"candidate": 1.0, "baseline": 0.0, "tie": 0.5, "1": 1.0, "0": 0.0, "0.5": 0.5}
_RATER = "label_"


class LabelColumns(Struct, frozen=True, kw_only=True):
    """Where labels stand in a file.

    Each row has the id of a judged row, and a label. Several people either have a column each, ``label_anna``,
    ``label_ben``, or a row each, told apart by a column ``rater``.

    Attributes:
        id: The column that names the row.
        label: The column of the label; beside columns of several people it is what was decided in the end.
        yes: The label that means yes, where it is another word (``spam``); every other word then means no.
    """

    id: str = "id"
    label: str = "label"
    yes: str | None = None


def read_labels(rows: Iterable[Row], rubric: Rubric, columns: LabelColumns, where: str) -> tuple[Label, ...]:
    """Return the labels of a file, in the order in which their rows first occur.

    Several people's labels come to what most of them say; of levels, to the median, if that is a level.

    Raises:
        DataError: for a file without labels, a label that the judge's verdicts do not know, a row without an id, and
            one with two labels of nobody in particular.
    """
    ratings: dict[str, list[Value]] = {}
    decided: dict[str, Value] = {}
    raters: dict[str, list[str]] = {}
    for row in rows:
        place = f"{where}, row {row.number + 1}"
        id_, names = _id(row, columns, place)
        seen = ratings.setdefault(id_, [])
        if "rater" in row.data:
            names, who = [columns.label], str(row.data["rater"])
            if who in raters.setdefault(id_, []):
                raise DataError(f"{who} labelled the row '{id_}' twice", where=place)
            raters[id_].append(who)
        elif id_ in raters:
            raise DataError(f"two rows have the id '{id_}'", where=place, fix="say in a column `rater` who labelled it")
        else:
            raters[id_] = []
        seen += [value for name in names if (value := _value(row.data[name], rubric, columns, place)) is not None]
        if names != [columns.label] and columns.label in row.data:
            value = _value(row.data[columns.label], rubric, columns, place)
            if value is not None:
                decided[id_] = value
    return tuple(
        Label(id=id_, value=decided.get(id_, _together(said, rubric)), ratings=tuple(said))
        for id_, said in ratings.items()
    )


def part_of(labels: Iterable[Label], part: Part) -> tuple[Label, ...]:
    """Return the labels of one part; new labels never move old ones to the other part.

    Raises:
        ConfigError: for a share that is none.
    """
    if not 0.0 <= part.split < 1.0:
        raise ConfigError(f"the split is {part.split:g}", expected="a share of at least 0 and less than 1")
    return tuple(label for label in labels if (_place(label.id) < part.split) == (part.side == "dev"))


def _place(id_: str) -> float:
    """Return where an id stands between 0 and 1."""
    return int(hashlib.sha256(id_.encode()).hexdigest()[:12], 16) / 16**12


def _id(row: Row, columns: LabelColumns, place: str) -> tuple[str, list[str]]:
    """Return the id of a row, and the columns that hold ratings."""
    names = sorted(name for name in row.data if name.startswith(_RATER))
    if columns.id not in row.data or not (names or columns.label in row.data):
        raise DataError(
            f"a row of labels needs the columns '{columns.id}' and '{columns.label}'",
            where=place,
            expected=f"columns here: {', '.join(row.data)}",
            fix="name the columns: --id-column, --label-column",
        )
    id_ = row.data[columns.id]
    if id_ is None or id_ == "":
        raise DataError("a label belongs to no row: it has no id", where=place)
    return str(id_), names or [columns.label]


def _value(raw: Any, rubric: Rubric, columns: LabelColumns, place: str) -> Value | None:
    if raw is None or raw == "":
        return None
    word = str(raw).strip().lower()
    if rubric.kind == "binary" and columns.yes is not None:
        return word == columns.yes.strip().lower()
    known = _words(rubric)
    if word in known:
        return known[word]
    raise DataError(
        f"the label {str(raw)[:80]!r} is no verdict of this judge",
        where=place,
        expected=", ".join(known),
        fix="--yes WORD says which label means yes" if rubric.kind == "binary" else None,
    )


def _words(rubric: Rubric) -> Mapping[str, Value]:
    if rubric.kind == "binary":
        return _BINARY
    if rubric.kind == "pairwise":
        return _PAIRWISE
    levels = {str(level): float(level) for level in sorted(rubric.levels)}
    return {**levels, **{f"{word}.0": level for word, level in levels.items()}}


def _together(ratings: Sequence[Value], rubric: Rubric) -> Value | None:
    if not ratings:
        return None
    if rubric.kind == "ordinal":
        middle = median(ratings)
        return middle if middle in rubric.levels else None
    first, *others = Counter(ratings).most_common(2)
    return None if others and others[0][1] == first[1] else first[0]
