"""Data files: what cannot be read, and what prompt flow would have changed in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.experiments.migration.checks import data_files
from pilothouse.experiments.migration.checks.data_files import check_data


def told(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return "\n".join(f"{item.verdict} {item.line}: {item.message}" for item in check_data(path).findings)


def test_plain_rows_need_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": 2}\n') == ""
    assert told(tmp_path / "a.csv", 'text,n\n"a, b",1\n') == ""
    assert told(tmp_path / "a.tsv", "text\tn\na\t1\n") == ""
    assert told(tmp_path / "a.json", '[{"text": "a"}]') == ""
    assert check_data(tmp_path / "a.jsonl").columns == {"text", "n"}


def test_dates_are_told_by_the_name_of_their_column_as_pandas_does(tmp_path: Path) -> None:
    text = told(
        tmp_path / "a.jsonl", '{"date": "2026-01-02", "created_at": "2026-01-02T10:00:00", "day": "2026-01-02"}\n'
    )
    assert text.count("pandas Timestamp") == 2
    assert "'day'" not in text


def test_whole_numbers_beside_null_and_absent_keys(tmp_path: Path) -> None:
    text = told(tmp_path / "a.jsonl", '{"n": 1, "m": 1}\n{"n": null}\n')
    assert "floats of the whole numbers of 'n'" in text
    assert "'m' is absent from 1 of 2 rows" in text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"text\ncaf\xe9\n", "change 2: byte 8 is not UTF-8"),
        ("a.csv", "", "change 1: the file is empty"),
        ("a.csv", "text,n\na,1,2\n", "the first row has 3 fields, the head 2"),
        ("a.csv", "text,text\na,b\n", "the column 'text' stands twice"),
        ("a.csv", "text\n", "note None: it has column names and no row"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "change 2: this is not JSON"),
        ("a.jsonl", "1\n", "a line is no mapping"),
        ("a.json", '{"a": 1', "change 1: this is not JSON"),
        ("a.parquet", "text", "this is not a Parquet file"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    assert expected in told(tmp_path / name, content)


def test_a_long_file_is_read_in_part_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "READ", 100)
    rows = '{"text": "caf\u00e9"}\n' * 50
    assert "unread None: only its first 90 of 900 bytes were read" in told(tmp_path / "a.jsonl", rows)
    assert "read whole or not at all" in told(tmp_path / "a.json", "[" + "1,\n" * 200 + "1]")
    assert "unread None: it has 212 bytes in one line" in told(tmp_path / "a.jsonl", f'{{"text": "{"a" * 200}"}}')


def test_json_that_is_no_list_of_rows_is_not_called_data(tmp_path: Path) -> None:
    assert "it was not taken for data" in told(tmp_path / "a.json", '{"a": 1}')
    assert not check_data(tmp_path / "a.json").read
