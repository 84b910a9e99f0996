"""Where prompt flow's record itself is wrong: data retyped on the way in, rows paired wrongly after a resume."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.migration.history.types import RecordedRow, Recording
from pilothouse.flows.dag.references import follow
from pilothouse.flows.types import Flow, Node, Reference

_DATE_COLUMN: Final = re.compile(r"date|modified|timestamp.*|.*_at|.*_time", re.IGNORECASE)
_INSTANT: Final = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00:00)?")
_SHOWN: Final = 4


class Retyped(Struct, frozen=True, kw_only=True):
    """An input that is not what stood in the data.

    Attributes:
        name: The input.
        what: What happened to it.
        there: How its value can look in texts of the record.
        here: How it can look in texts of the replay.
    """

    name: str
    what: str
    there: tuple[str, ...]
    here: tuple[str, ...]


def retyped(there: dict[str, Any], here: dict[str, Any]) -> tuple[Retyped, ...]:
    """Return the inputs of a row that prompt flow's reader of data changed, as far as it can be seen.

    Args:
        there: The recorded inputs.
        here: The replay's inputs.
    """
    return tuple(found for name, value in there.items() if (found := _changed(name, value, here.get(name))))


def _changed(name: str, value: Any, other: Any) -> Retyped | None:
    if isinstance(value, float) and math.isnan(value):
        what = "NaN, which prompt flow's reader makes of null and of an absent key"
        return Retyped(name=name, what=what, there=("nan", "NaN"), here=(*_forms(other), "None", "null"))
    if isinstance(value, float) and isinstance(other, int) and not isinstance(other, bool) and value == float(other):
        what = f"{value}, which prompt flow's reader makes of {other} beside null"
        return Retyped(name=name, what=what, there=_forms(value), here=_forms(other))
    instant = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if instant and (_DATE_COLUMN.fullmatch(name) or (isinstance(other, str) and other != value)):
        plain = f"{instant['day']} {instant['time']}"
        what = f"the time {plain}, which prompt flow's reader makes of text that looks like a date"
        day = (instant["day"],) if instant["time"] == "00:00:00" else ()
        return Retyped(name=name, what=what, there=(plain, str(value)), here=(*_forms(other), str(value), *day))
    if value in ("nan", "NaT", "None") and other != value:
        what = f"'{value}', which prompt flow makes of null and of an absent key"
        return Retyped(name=name, what=what, there=(str(value),), here=(*_forms(other), "None", "null"))
    return None


def _forms(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys((str(value), json.dumps(value, default=str))))


def explained_by_inputs(there: Any, here: Any, changed: tuple[Retyped, ...]) -> str:
    """Return why two outputs differ when putting the replay's inputs in place of the recorded ones makes them equal.

    Args:
        there: What is recorded: outputs, or the message of an error.
        here: The replay's.
        changed: The inputs that were retyped.
    """
    wanted, texts = json.dumps(here, default=str), {json.dumps(there, default=str): ""}
    for item in changed:
        made = {
            text.replace(old, new): f"{why}{'; ' if why else ''}the input '{item.name}' was {item.what}"
            for text, why in texts.items()
            for old in item.there
            if old in text
            for new in item.here
        }
        # Inputs that changed nothing in the text stay out of the explanation.
        texts = {**made, **texts}
    return texts.get(wanted, "")


def data_notes(recording: Recording) -> Iterator[str]:
    """Yield what the recorded inputs show of data that was retyped, a column at a time."""
    columns: dict[str, list[tuple[str, Any]]] = {}
    for row in recording.rows:
        for name, value in row.inputs.items():
            columns.setdefault(name, []).append((row.id, value))
    for name, cells in columns.items():
        odd = [row for row, value in cells if value == "nan" or (isinstance(value, float) and math.isnan(value))]
        numbers = [value for _, value in cells if isinstance(value, float) and not math.isnan(value)]
        if odd:
            yield f"the input '{name}' is NaN in {_rows(odd)}: prompt flow makes it of null and of absent keys"
        if odd and numbers and all(value.is_integer() for value in numbers):
            yield f"the input '{name}' holds numbers such as {numbers[0]}: whole numbers beside null became decimal"
        times = [row for row, value in cells if _DATE_COLUMN.fullmatch(name) and _is_instant(value)]
        if times:
            yield f"the input '{name}' was a point in time in {_rows(times)}: prompt flow makes it of text like dates"


def _is_instant(value: Any) -> bool:
    return isinstance(value, str) and _INSTANT.fullmatch(value) is not None


def _rows(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"row{'s' if len(ids) > 1 else ''} {', '.join(ids[:_SHOWN])}{more}"


def paired_wrongly(recording: Recording, flow: Flow) -> str:
    """Return which aggregation node of a resumed run was given lists in different orders; empty when none was."""
    rows = recording.completed
    for node in flow.nodes:
        if not node.aggregation:
            continue
        known = recording.aggregation.get(node.name)
        if known is None or known.inputs is None:
            if recording.facts.resumed_from and _mixes(node):
                return (
                    f"the run was resumed from '{recording.facts.resumed_from}', after which prompt flow pairs the "
                    f"rows of node '{node.name}' wrongly, which reads inputs beside outputs of nodes"
                )
            continue
        orders = {
            name: order
            for name, value in node.inputs.items()
            if isinstance(value, Reference) and (order := _order(rows, value, known.inputs.get(name))) is not None
        }
        if len(set(orders.values())) > 1:
            straight, odd = sorted(orders, key=lambda name: orders[name] != tuple(range(len(rows))))[:: len(orders) - 1]
            return (
                f"prompt flow paired rows wrongly in node '{node.name}': '{odd}' stands in the order of "
                f"rows {', '.join(rows[place].id for place in orders[odd][: _SHOWN + 2])} beside '{straight}'; "
                "it does so after a resume, and its figure is wrong"
            )
    return ""


def _mixes(node: Node) -> bool:
    return len({value.source for value in node.inputs.values() if isinstance(value, Reference)}) > 1


def _order(rows: tuple[RecordedRow, ...], reference: Reference, given: Any) -> tuple[int, ...] | None:
    """Return the places of the rows in a list that a node was given; None when it is not theirs, or not told."""
    if not isinstance(given, list):
        return None
    expected = [json.dumps(_value(row, reference), sort_keys=True, default=str) for row in rows]
    listed: list[str] = [json.dumps(item, sort_keys=True, default=str) for item in given]  # pyright: ignore[reportUnknownVariableType]
    if listed == expected:
        return tuple(range(len(rows)))
    # Equal values cannot be told apart: with them, no order can be read off.
    if sorted(listed) != sorted(expected) or len(set(expected)) < len(expected):
        return None
    return tuple(expected.index(item) for item in listed)


def _value(row: RecordedRow, reference: Reference) -> Any:
    if reference.source == "input":
        return row.inputs.get(reference.name)
    node = row.nodes.get(reference.name)
    try:
        return follow(node.output if node is not None else None, reference)
    except PilothouseError:
        return None
