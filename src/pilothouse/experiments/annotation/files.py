"""Labels as rows of a dataset: what was judged, in columns, and what came of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.evaluation.annotation.order import chance
from pilothouse.evaluation.annotation.types import Final, Queue

_OWN = ("id", "label", "decision", "votes", "agreement", "rater", "comments", "rubric")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def labelled_rows(queue: Queue, finals: Sequence[Final], *, named: bool) -> list[dict[str, Any]]:
    """Return a row for each item that somebody labelled, by its id.

    The columns are those that `judge calibrate` reads: ``id``, ``label``, and ``label_NAME`` of each reviewer.

    Args:
        queue: The queue.
        finals: What came of its items.
        named: Whether reviewers keep their names.
    """
    names = _names(queue, finals, named=named)
    rows: list[dict[str, Any]] = []
    for final in sorted(finals, key=lambda final: final.item.id):
        votes = {f"label_{name}": queue.question.word(final.votes.get(who)) for who, name in names.items()}
        said = [f"{names.get(who, 'adjudicator')}: {text}" for who, text in sorted(final.comments.items())]
        agreement = final.agreement
        rows.append(
            {
                "id": final.item.id,
                **_content(final),
                "label": queue.question.word(final.label),
                "decision": final.decision,
                "votes": len(final.votes),
                "agreement": None if agreement is None else round(agreement, 6),
                **votes,
                "comments": "\n".join(sorted(said)),
                "rubric": queue.rubric.removeprefix("rubric/"),
            }
        )
    return rows


def jsonl_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as JSON lines."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(name, row.get(name)) for name in columns] for row in rows)
    return out.getvalue().encode()


def _cell(name: str, value: Any) -> str | int | float:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    # Ids and labels are read back by other commands: they stay as they are.
    guarded = name != "id" and not name.startswith("label") and isinstance(value, str)
    return f"'{text}" if guarded and text.startswith(_FORMULAS) else text


def _content(final: Final) -> dict[str, Any]:
    """Return what was judged as columns; a name that is taken is told apart by where it comes from."""
    item = final.item
    found: dict[str, Any] = {}
    parts: list[tuple[str, Mapping[str, Any]]] = [("input", item.inputs)]
    if item.other is None:
        parts.append(("output", item.outputs))
    else:
        for side, answer in (("candidate", item.outputs), ("baseline", item.other)):
            # A judge of pairs is shown `candidate` and `baseline`.
            one = len(answer) == 1
            parts.append((side, {side if one else f"{side}_{name}": value for name, value in answer.items()}))
    for prefix, values in (*parts, ("reference", item.reference)):
        for name, value in values.items():
            taken = name in found or name in _OWN or name.startswith("label_")
            found[f"{prefix}_{name}" if taken else name] = value
    return found


def _names(queue: Queue, finals: Sequence[Final], *, named: bool) -> dict[str, str]:
    """Return the names under which reviewers are exported."""
    who = sorted({name for final in finals for name in final.votes})
    if named:
        return {name: name for name in who}
    # The same in every export, whoever joins later.
    return {name: f"r{chance(queue.id, 'pseudonym', name) % 10**6:06d}" for name in who}
