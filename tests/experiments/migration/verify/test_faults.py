"""Faults of prompt flow's record are recognised, and only where they account for what differs."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pilothouse.experiments.migration.history.folder import read_folder
from pilothouse.experiments.migration.verify.faults import (
    data_notes,
    explained_by_inputs,
    paired_wrongly,
    retyped,
)
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow

from ..recorded import row, run_folder

NAN = float("nan")


@pytest.mark.parametrize(
    ("there", "here", "said_there", "said_here"),
    [
        ({"n": NAN}, {"n": None}, "n is nan", "n is None"),
        ({"n": 1.0}, {"n": 1}, "n is 1.0", "n is 1"),
        ({"date": "2024-01-02T00:00:00Z"}, {"date": "2024-01-02"}, "on 2024-01-02 00:00:00", "on 2024-01-02"),
        ({"tag": "nan"}, {"tag": "none"}, "#nan", "#none"),
        ({"a": NAN, "b": 2.0}, {"a": None, "b": 2}, "nan and 2.0", "None and 2"),
    ],
)
def test_an_output_is_explained_by_inputs_that_were_retyped(
    there: dict[str, Any], here: dict[str, Any], said_there: str, said_here: str
) -> None:
    changed = retyped(there, here)
    assert {item.name for item in changed} == set(there)
    assert "prompt flow" in explained_by_inputs(said_there, said_here, changed)
    assert explained_by_inputs(said_there, "something else", changed) == ""


def test_inputs_that_stayed_explain_nothing() -> None:
    same = {"text": "nan", "n": 1.5, "at": "2024-01-02"}
    assert retyped(same, same) == ()
    assert explained_by_inputs("a", "b", ()) == ""


def test_columns_that_were_retyped_are_told_once(tmp_path: Path) -> None:
    rows = [
        row(number, {"n": n, "date": "2024-01-02T00:00:00Z", "x": 1.5}, {"y": 1})
        for number, n in enumerate((1.0, NAN, 2.0))
    ]
    told = list(data_notes(read_folder(run_folder(tmp_path, rows))))
    assert len(told) == 3
    assert "'n' is NaN in row 1" in told[0]
    assert "whole numbers" in told[1]
    assert "'date'" in told[2]


def flow_of(tmp_path: Path) -> Flow:
    text = """
        inputs: {x: {type: int}}
        outputs: {y: {type: int, reference: "${twice.output}"}}
        nodes:
          - {name: twice, type: python, source: {type: code, path: t.py}, inputs: {x: "${inputs.x}"}}
          - name: check
            type: python
            aggregation: true
            source: {type: code, path: t.py}
            inputs: {xs: "${inputs.x}", ys: "${twice.output}"}
    """
    folder = tmp_path / "flow"
    folder.mkdir()
    (folder / "flow.dag.yaml").write_text(dedent(text))
    (folder / "t.py").write_text("from pilothouse import tool\n@tool\ndef t(**given): ...\n")
    return load_flow(folder)


def rows_of(values: list[int]) -> list[dict[str, Any]]:
    return [row(n, {"x": x}, {"y": 2 * x}, nodes={"twice": ({"x": x}, 2 * x)}) for n, x in enumerate(values)]


def test_rows_paired_wrongly_after_a_resume_are_seen(tmp_path: Path) -> None:
    lists = {"xs": [1, 2, 3], "ys": [4, 6, 2]}
    run_folder(tmp_path / "run", rows_of([1, 2, 3]), aggregation={"check": (lists, None)})
    told = paired_wrongly(read_folder(tmp_path / "run"), flow_of(tmp_path))
    assert "'ys' stands in the order of rows 1, 2, 0 beside 'xs'" in told


@pytest.mark.parametrize(
    ("values", "lists"),
    [
        ([1, 2, 3], {"xs": [1, 2, 3], "ys": [2, 4, 6]}),
        # Both in the same other order: every pair is right.
        ([1, 2, 3], {"xs": [2, 3, 1], "ys": [4, 6, 2]}),
        # Equal values cannot be told apart, and lists of other lengths are not those of these rows.
        ([1, 1, 2], {"xs": [1, 1, 2], "ys": [2, 4, 2]}),
        ([1, 2, 3], {"xs": [1, 2, 3], "ys": [2, 4]}),
    ],
)
def test_rows_paired_rightly_are_not_accused(tmp_path: Path, values: list[int], lists: dict[str, list[int]]) -> None:
    run_folder(tmp_path / "run", rows_of(values), aggregation={"check": (lists, None)})
    assert paired_wrongly(read_folder(tmp_path / "run"), flow_of(tmp_path)) == ""
