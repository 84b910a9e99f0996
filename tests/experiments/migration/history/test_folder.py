"""The folder of a run is read as prompt flow wrote it, NaN, images and failures included."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilothouse.core.errors import DataError, NotFound
from pilothouse.experiments.migration.history.folder import read_folder

from ..recorded import row, run_folder

NAN = float("nan")


def test_rows_with_their_nodes(tmp_path: Path) -> None:
    rows = [
        row(0, {"text": "a", "n": NAN}, {"up": "A"}, nodes={"upper": ({"text": "a"}, "A"), "maybe": None}),
        row(1, {"text": "b", "n": 2.0}, error="no b"),
    ]
    found = read_folder(run_folder(tmp_path, rows, metrics={"share": 0.5}, aggregation={"sum": ({"xs": ["a"]}, 1)}))
    first, second = found.rows
    assert (first.id, first.state, first.outputs) == ("0", "completed", {"up": "A"})
    assert math.isnan(first.inputs["n"])
    assert "line_number" not in first.inputs
    assert (first.nodes["upper"].output, first.nodes["maybe"].state) == ("A", "bypassed")
    assert (first.usage.input_tokens, first.usage.output_tokens, first.seconds) == (7, 3, 0.25)
    assert first.ended_at == datetime(2026, 1, 2, 3, 5, 7, 250_000, tzinfo=UTC)
    assert (second.state, second.error, second.outputs, second.inputs["n"]) == ("failed", "no b", {}, 2.0)
    assert found.metrics == {"share": 0.5}
    assert found.aggregation["sum"].inputs == {"xs": ["a"]}


def test_several_rows_in_a_file_and_lines_out_of_order(tmp_path: Path) -> None:
    rows = [row(number, {"x": number}, {"y": number}) for number in (2, 0, 3, 1)]
    found = read_folder(run_folder(tmp_path, rows, batch=25))
    assert [item.id for item in found.rows] == ["0", "1", "2", "3"]
    assert len(list((tmp_path / "flow_artifacts").iterdir())) == 1


def test_a_row_that_never_ended_is_missing_not_forgotten(tmp_path: Path) -> None:
    run_folder(tmp_path, [row(0, {"x": 1}, {"y": 1})])
    with (tmp_path / "inputs.jsonl").open("a") as file:
        file.write('\n{"x": 5, "line_number": 7}\n')
    missing = read_folder(tmp_path).rows[1]
    assert (missing.id, missing.state, missing.inputs) == ("7", "missing", {"x": 5})


def test_without_artifacts_outputs_and_errors_are_read(tmp_path: Path) -> None:
    (tmp_path / "outputs.jsonl").write_text('{"y": 0.3333333333, "line_number": 1}\n')
    (tmp_path / "inputs.jsonl").write_text('{"x": 3, "line_number": 1}\n{"x": 4, "line_number": 0}\n')
    errors = [{"line_number": 0, "error": {"message": "no 4"}}]
    summary = {"additionalInfo": [{"type": "BulkRunErrors", "info": {"errors": errors}}]}
    (tmp_path / "error.json").write_text(json.dumps(summary))
    found = read_folder(tmp_path)
    assert [(item.id, item.state, item.error) for item in found.rows] == [
        ("0", "failed", "no 4"),
        ("1", "completed", ""),
    ]
    assert "rounded" in found.notes[0]


def test_images_come_with_their_content_wherever_they_were_made(tmp_path: Path) -> None:
    there = {"data:image/png;path": "C:\\Users\\a\\.runs\\r\\flow_artifacts\\dot.png"}
    gone = {"data:image/png;path": "/elsewhere/gone.png"}
    run_folder(tmp_path, [row(0, {"seen": there, "many": [gone]}, {"same": there})])
    (tmp_path / "flow_artifacts" / "dot.png").write_bytes(b"dot")
    found = read_folder(tmp_path).rows[0]
    assert found.inputs == {"seen": {"data:image/png;base64": "ZG90"}, "many": [gone]}
    assert found.outputs["same"] == {"data:image/png;base64": "ZG90"}


@pytest.mark.parametrize("text", ["{", "[1]", '"text"'])
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    run_folder(tmp_path, [row(0, {}, {"y": 1})])
    (tmp_path / "inputs.jsonl").write_text('{"line_number": 0}\n' + text)
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    assert str(caught.value.where).endswith("inputs.jsonl:2")


def test_any_other_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder of a run"):
        read_folder(tmp_path)
