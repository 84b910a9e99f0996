"""Rows as lines: nothing is lost in silence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.errors import StorageError
from pilothouse.experiments.runs.rowcodec import decode_row, encode_row
from pilothouse.experiments.runs.types import RunRow
from pilothouse.flows.results import ErrorInfo, NodeResult
from pilothouse.models.types import Usage

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def row(outputs: dict[str, Any], node_output: Any = None) -> RunRow:
    return RunRow(
        line_id="a",
        number=0,
        status="completed",
        outputs=outputs,
        nodes=(NodeResult(node="n", status="completed", output=node_output),),
    )


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(json_values, json_values)
def test_any_json_value_comes_back_and_fits_on_one_line(output: Any, node_output: Any) -> None:
    line = encode_row(row({"x": output}, node_output))
    assert b"\n" not in line
    back = decode_row(line)
    assert same(back.outputs["x"], output)
    assert same(back.nodes[0].output, node_output)


def test_nan_and_infinity_stay_numbers() -> None:
    back = decode_row(encode_row(row({"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": None})))
    assert math.isnan(back.outputs["a"])
    assert back.outputs["b"] == [math.inf, {"c": -math.inf}]
    assert back.outputs["d"] is None


@dataclass
class Answer:
    text: str
    client: object


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_has_no_json_form_is_recorded_as_text_and_told() -> None:
    back = decode_row(encode_row(row({"ok": 1}, Answer(text="yes", client=object()))))
    assert back.outputs == {"ok": 1}
    assert back.nodes[0].output["text"] == "yes"
    assert back.nodes[0].output["client"]["$type"] == "builtins.object"
    assert back.notes == ("n.client has no JSON form and was recorded as text",)


@pytest.mark.parametrize("value", [Hostile(), {("a", 1): 2}, {1, 2}, 10**30, "\ud800 lone", [object()] * 3])
def test_hostile_values_never_fail_a_row(value: Any) -> None:
    assert decode_row(encode_row(row({"x": value}))).status == "completed"


def test_a_value_that_holds_itself_is_cut_off() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert decode_row(encode_row(row({"x": ring}))).notes


def test_numpy_scalars_become_numbers() -> None:
    outputs = {"x": np.float64(0.5), "y": np.int64(7), "z": np.bool_(True), "n": np.float64("nan")}
    back = decode_row(encode_row(row(outputs, Answer("t", np.float32(2)))))
    assert math.isnan(back.outputs.pop("n"))
    assert back.outputs == {"x": 0.5, "y": 7, "z": True}
    assert back.notes == ()


def test_a_whole_row_comes_back() -> None:
    whole = RunRow(
        line_id="é\u2028\n",
        number=3,
        repeat=1,
        status="failed",
        inputs={"a": 1},
        usage=Usage(input_tokens=3),
        cost=Decimal("0.000001230"),
        unpriced=2,
        duration=0.25,
        error=ErrorInfo(type="ValueError", message="m\nn", node="n", traceback="t"),
        trace_id="f" * 32,
        attempt=2,
        ended_at=1.5,
        notes=("x",),
    )
    assert decode_row(encode_row(whole)) == whole


def test_a_damaged_line_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="damaged"):
        decode_row(b'{"line_id": 3}')
