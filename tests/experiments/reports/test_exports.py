"""Reports for programs: JSON lines and Parquet hold what CSV holds, and the document what was found."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import structs

from pilothouse.core.errors import StorageError
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.comparison import Answer, ExperimentComparison, RowView
from pilothouse.experiments.reports.exports.document import Document, write_document
from pilothouse.experiments.reports.exports.parquet import write_parquet
from pilothouse.experiments.reports.exports.records import FIXED, NESTED, write_lines
from pilothouse.experiments.reports.files import write_reports

from ..conftest import Project
from .conftest import HOSTILE


def parquet(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def lines(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def shown(value: Any) -> str:
    """Return a value as CSV shows it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_csv_parquet_and_json_lines_hold_the_same(
    found: ExperimentComparison, rows: list[RowView], tmp_path: Path
) -> None:
    files = write_reports(tmp_path, found, lambda: rows, 50, ("parquet", "json"))
    assert [path.name for path in files.exports] == ["report.json", "rows.jsonl", "rows.parquet"]
    as_csv = list(csv.DictReader(io.StringIO(files.rows.read_text(), newline="")))
    as_lines, as_parquet = lines(tmp_path / "rows.jsonl"), parquet(tmp_path / "rows.parquet")
    assert len(as_csv) == len(as_lines) == len(as_parquet) == 200
    for text, line, typed in zip(as_csv, as_lines, as_parquet, strict=True):
        assert {name: line[name] for name in FIXED} == {name: typed[name] for name in FIXED}
        assert {name: text[name] for name in FIXED} == {name: shown(line[name]) for name in FIXED}
        for group in NESTED:
            cells = {name.partition(".")[2]: value for name, value in typed.items() if name.startswith(f"{group}.")}
            assert {name: value for name, value in cells.items() if value is not None} == {
                name: value for name, value in line[group].items() if value is not None
            }


def test_a_score_without_a_value_says_why(found: ExperimentComparison, tmp_path: Path) -> None:
    answers = (
        Answer(outputs={"x": 1}, scores={"exact": True, "tone": "abstained"}, states={"tone": "abstained"}),
        Answer(outputs={"x": 2.5}, scores={"exact": "error", "tone": "error"}, states={"exact": "error"}),
    )
    write_parquet(tmp_path / "r.parquet", found, [RowView(id="a", number=0, answers=answers)])
    first, second = parquet(tmp_path / "r.parquet")
    assert (first["scores.exact"], first["states.exact"]) == (True, "ok")
    assert (first["scores.tone"], first["states.tone"]) == (None, "abstained")
    assert (second["scores.exact"], second["states.exact"]) == (None, "error")
    # A category may be called like a state: the state tells them apart.
    assert (second["scores.tone"], second["states.tone"]) == ("error", "ok")
    assert (first["outputs.x"], second["outputs.x"]) == (1.0, 2.5)


def test_hostile_text_odd_numbers_and_names_that_differ_by_capitals(
    found: ExperimentComparison, tmp_path: Path
) -> None:
    views = [
        RowView(
            id=text,
            number=number,
            inputs={"Text": text, "text": number, f"a\"{text}'; DROP": [1, {"k": text}], "n": math.nan, "big": 2**70},
            answers=(Answer(outputs={"x": text}, label=text), None),
        )
        for number, text in enumerate(HOSTILE)
    ]
    write_parquet(tmp_path / "r.parquet", found, views)
    write_lines(tmp_path / "r.jsonl", found, views)
    typed, plain = parquet(tmp_path / "r.parquet"), lines(tmp_path / "r.jsonl")
    assert len(typed) == len(plain) == len(HOSTILE)
    legible = [text.encode("utf-8", "backslashreplace").decode() for text in HOSTILE]
    assert [row["row"] for row in typed] == [row["row"] for row in plain] == legible
    assert [row["inputs.Text"] for row in typed] == legible
    assert [row["inputs.text_2"] for row in typed] == list(range(len(HOSTILE)))
    assert all(math.isnan(row["inputs.n"]) for row in typed)
    assert plain[0]["inputs"]["n"] == "nan"
    assert typed[0]["inputs.big"] == str(2**70)


def test_no_row_at_all_is_a_file_with_its_columns(found: ExperimentComparison, tmp_path: Path) -> None:
    write_parquet(tmp_path / "r.parquet", found, [])
    with duckdb.connect() as connection:
        columns = connection.execute(f"DESCRIBE SELECT * FROM '{tmp_path}/r.parquet'").fetchall()
    assert {name: kind for name, kind, *_ in columns} == FIXED


def test_the_document_keeps_every_figure_with_its_interval(found: ExperimentComparison) -> None:
    document = msgspec.json.decode(write_document(found), type=Document)
    assert document.schema == "pilothouse.comparison/1"
    assert [item.name for item in document.variants] == [arm.name for arm in found.arms]
    for item, arm in zip(document.variants, found.arms, strict=True):
        assert item.estimates == arm.estimates
        assert item.seconds.n == arm.latency.n
    assert document.comparisons == found.comparisons
    hostile = structs.replace(found, description="lone \ud800", notes=("x",))
    assert msgspec.json.decode(write_document(hostile))["description"] == "lone \\ud800"


def test_a_full_disk_leaves_no_half_file(found: ExperimentComparison, rows: list[RowView], tmp_path: Path) -> None:
    write_reports(tmp_path, found, lambda: rows, 50, ("parquet",))
    before = (tmp_path / "rows.parquet").read_bytes()
    calls = iter([rows, rows, (item if item.number < 50 else 1 / 0 for item in rows)])
    with pytest.raises(ZeroDivisionError):
        write_reports(tmp_path, found, lambda: next(calls), 50, ("parquet",))  # type: ignore[arg-type, return-value]
    assert (tmp_path / "rows.parquet").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_reports(tmp_path / "file/b", found, lambda: rows, 50, ("json",))


def test_the_verb_writes_what_is_asked_for(project: Project) -> None:
    finding = project.run()
    assert finding.files.exports == ()
    result = CliRunner().invoke(
        experiment, ["report", "--format", "parquet,json", "--format", "html"], obj=project.services
    )
    assert result.exit_code == 0, result.output
    folder = finding.files.html.parent
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.html", "rows.csv", "summary.csv", "report.json", "rows.jsonl", "rows.parquet"}
    assert len(result.output.splitlines()) == 6
    typed = parquet(folder / "rows.parquet")
    assert len(typed) == 120
    assert {row["states.label"] for row in typed} == {"ok"}
    wrong = CliRunner().invoke(experiment, ["report", "--format", "xlsx"], obj=project.services)
    assert wrong.exit_code == 2
    assert "html, csv, parquet, json" in wrong.output
