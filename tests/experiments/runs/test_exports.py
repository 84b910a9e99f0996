"""Exports: whole or not at all, nothing lost on the way."""

from __future__ import annotations

import csv
import errno
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pilothouse.core.errors import Conflict, NotFound, StorageError
from pilothouse.experiments.runs.exports import promptflow
from pilothouse.experiments.runs.exports.formats import FORMATS
from pilothouse.experiments.runs.rowcodec import decode_row
from pilothouse.experiments.runs.types import Run

from .conftest import Project

ECHO = {
    "flow.dag.yaml": """
        inputs:
          value: {type: object}
        outputs:
          value: {type: object, reference: "${echo.output}"}
        nodes:
          - name: echo
            type: python
            source: {type: code, path: echo.py}
            inputs: {value: "${inputs.value}"}
    """,
    "echo.py": """
        from pilothouse import tool

        @tool
        def echo(value: object):
            return float("nan") if value == {"nan": 1} else value
    """,
}


def echo(project: Project, values: list[Any]) -> Run:
    project.flow("echo", ECHO)
    data = project.data([{"value": value} for value in values])
    return project.run(project.spec("echo", data=data))


@pytest.fixture
def mixed(project: Project) -> Run:
    project.broken(1)
    return project.run(project.spec(rows=5, name="mixed"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_holds_every_row_whole(project: Project, mixed: Run, tmp_path: Path) -> None:
    files = project.runs.export("mixed", tmp_path / "out")
    assert [path.name for path in files] == ["metrics.json", "rows.jsonl", "run.json"]
    written = [decode_row(line) for line in (tmp_path / "out" / "rows.jsonl").read_bytes().splitlines()]
    assert written == project.rows(mixed)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["id"] == mixed.id
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == mixed.metrics


def test_csv_has_a_line_for_every_row(project: Project, mixed: Run, tmp_path: Path) -> None:
    project.runs.export(mixed, tmp_path / "out", "csv")
    with (tmp_path / "out" / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["outputs.y"] for row in rows] == ["0", "", "4", "6", "8"]
    assert [row["status"] for row in rows] == ["completed", "failed", "completed", "completed", "completed"]
    assert rows[1]["error"] == "no answer for 1"
    assert rows[1]["inputs.x"] == "1"


def test_csv_survives_quotes_and_line_ends(project: Project, tmp_path: Path) -> None:
    texts = ['a "quoted", text', "two\nlines\r\n", "", "=1+1", "é\u2028"]
    run = echo(project, [{"t": text} for text in texts])
    project.runs.export(run, tmp_path / "out", "csv")
    with (tmp_path / "out" / "rows.csv").open(newline="", encoding="utf-8") as stream:
        found = [json.loads(row["outputs.value"])["t"] for row in csv.DictReader(stream)]
    assert found == texts


def test_parquet_keeps_types(project: Project, mixed: Run, tmp_path: Path) -> None:
    project.runs.export(mixed, tmp_path / "out", "parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out" / "rows.parquet")
    assert table.column("outputs.y").to_pylist() == [0, None, 4, 6, 8]
    assert str(table.schema.field("outputs.y").type) == "int64"
    assert str(table.schema.field("line_id").type) == "string"
    assert not (tmp_path / "out" / "rows.jsonl").exists()


def test_parquet_takes_numbers_that_json_has_not_and_dates_stay_text(project: Project, tmp_path: Path) -> None:
    run = echo(project, [{"nan": 1}, {"nan": 1}])
    project.runs.export(run, tmp_path / "numbers", "parquet")
    values = pyarrow.parquet.read_table(tmp_path / "numbers" / "rows.parquet").column("outputs.value").to_pylist()
    assert all(math.isnan(value) for value in values)
    dated = echo(project, [{"day": "2026-01-02"}, {"big": 2**70}])
    project.runs.export(dated, tmp_path / "dates", "parquet")
    values = pyarrow.parquet.read_table(tmp_path / "dates" / "rows.parquet").column("outputs.value").to_pylist()
    assert [json.loads(value) for value in values] == [{"day": "2026-01-02"}, {"big": 2**70}]


def test_parquet_tells_columns_apart_that_differ_in_capitals(project: Project, tmp_path: Path) -> None:
    flow = ECHO["flow.dag.yaml"].replace(
        "outputs:", "outputs:\n          VALUE: {type: object, reference: '${echo.output}'}"
    )
    project.flow("echo", {**ECHO, "flow.dag.yaml": flow})
    run = project.run(project.spec("echo", data=project.data([{"value": {"a": 1}}])))
    project.runs.export(run, tmp_path / "out", "parquet")
    names = pyarrow.parquet.read_table(tmp_path / "out" / "rows.parquet").column_names
    assert {"outputs.VALUE", "outputs.value_2"} <= set(names)


def test_the_prompt_flow_layout_has_its_files(
    project: Project, mixed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promptflow, "BATCH", 2)
    project.runs.export(mixed, tmp_path / "out", "promptflow")
    out = tmp_path / "out"
    assert lines(out / "inputs.jsonl")[1] == {"x": 1, "line_number": 1}
    assert lines(out / "outputs.jsonl") == [{"y": 2 * n, "line_number": n} for n in (0, 2, 3, 4)]
    assert lines(out / "flow_outputs" / "output.jsonl") == [{"line_number": n, "y": 2 * n} for n in (0, 2, 3, 4)]
    assert json.loads((out / "metrics.json").read_text()) == mixed.metrics
    assert json.loads((out / "meta.json").read_text()) == {"batch_size": 2}
    assert "no answer for 1" in (out / "error.json").read_text()
    artifacts = sorted(path.name for path in (out / "flow_artifacts").iterdir())
    assert artifacts == [f"{n:09}_{n + 1:09}.jsonl" for n in (0, 2, 4)]
    records = [record for name in artifacts for record in lines(out / "flow_artifacts" / name)]
    assert [record["run_info"]["status"] for record in records] == ["Completed", "Failed", *["Completed"] * 3]
    assert len(lines(out / "node_artifacts" / "double" / "000000000.jsonl")) == 5


@pytest.mark.parametrize("name", FORMATS)
def test_no_part_of_an_export_stays_when_the_disk_is_full(
    project: Project, mixed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StorageError, match="disk is full"):
        project.runs.export(mixed, tmp_path / "deep" / "out", name)
    assert list((tmp_path / "deep").iterdir()) == []


def test_nothing_is_written_over(project: Project, mixed: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    project.runs.export(mixed, tmp_path / "out")
    with pytest.raises(Conflict, match="not an empty folder"):
        project.runs.export(mixed, tmp_path / "out")


def test_an_unknown_format_is_refused(project: Project, mixed: Run, tmp_path: Path) -> None:
    unknown: Any = "jsonlines"
    with pytest.raises(NotFound, match="jsonl"):
        project.runs.export(mixed, tmp_path / "out", unknown)
    assert not (tmp_path / "out").exists()
