"""CSV and TSV: every value stays the string it is; what cannot be read is named with file and line."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import DataError, NotFound

Read = Callable[..., list[dict[str, Any]]]
Write = Callable[[str, str | bytes], Path]


def refused(read: Read, path: Path, line: int, **options: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert caught.value.where == f"{path}:{line}"
    return caught.value


def test_nothing_is_retyped(write: Write, read: Read) -> None:
    path = write("a.csv", "date,int,float,null,bool,zero,inf\n2024-01-31,1,1.0,,true,007,inf\n")

    assert read(path) == [
        {"date": "2024-01-31", "int": "1", "float": "1.0", "null": "", "bool": "true", "zero": "007", "inf": "inf"}
    ]


def test_quotes_line_ends_and_marks(write: Write, read: Read) -> None:
    path = write("a.csv", b'\xef\xbb\xbfid,text\r\n1,"two\r\nlines, ""quoted"""\r\n\r\n2, space \r\n')

    assert read(path) == [{"id": "1", "text": 'two\r\nlines, "quoted"'}, {"id": "2", "text": " space "}]


def test_a_file_without_a_last_line_end(write: Write, read: Read) -> None:
    assert read(write("a.csv", "text\nlast")) == [{"text": "last"}]


def test_tabs(write: Write, read: Read) -> None:
    assert read(write("a.tsv", "id\ttext\n1\ta, b\n")) == [{"id": "1", "text": "a, b"}]


def test_another_delimiter(write: Write, read: Read) -> None:
    assert read(write("a.csv", "id;text\n1;a, b\n"), delimiter=";") == [{"id": "1", "text": "a, b"}]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_that_cannot_be_one(write: Write, read: Read, delimiter: str) -> None:
    path = write("a.csv", "text\na\n")
    if delimiter == "":  # as when it is not given
        assert read(path, delimiter=delimiter) == [{"text": "a"}]
        return
    with pytest.raises(DataError, match="cannot stand between cells"):
        read(path, delimiter=delimiter)


def test_a_ragged_record_is_named_by_its_first_line(write: Write, read: Read) -> None:
    path = write("a.csv", 'id,text\n1,"two\nlines"\n2,x,"three\nmore"\n')

    error = refused(read, path, 4)
    assert "3 cells" in error.message
    assert error.expected == "2, as the header has"


def test_a_short_record(write: Write, read: Read) -> None:
    assert "1 cell" in refused(read, write("a.csv", "id,text\n1\n"), 2).message


def test_a_quote_that_is_never_closed_is_named_where_it_opens(write: Write, read: Read) -> None:
    path = write("a.csv", 'id,text\n1,fine\n2,"open\n' + "3,x\n" * 100)

    assert "never closed" in refused(read, path, 3).message


def test_text_after_a_closing_quote(write: Write, read: Read) -> None:
    refused(read, write("a.csv", 'id,text\n1,"a"b\n'), 2)


def test_two_columns_of_one_name(write: Write, read: Read) -> None:
    error = refused(read, write("a.csv", "text,label,text\na,b,c\n"), 1)
    assert "'text': 1 and 3" in error.message


def test_a_column_without_a_name(write: Write, read: Read) -> None:
    assert "column 1" in refused(read, write("a.csv", ",text\n0,a\n"), 1).message


def test_bytes_that_are_not_utf8_are_named_by_line_and_byte(write: Write, read: Read) -> None:
    content = "text\n" + "ok\n" * 1000 + "caf"
    path = write("a.csv", content.encode() + b"\xe9\nmore\n")

    error = refused(read, path, 1002)
    assert f"byte {len(content)} " in error.message
    assert "--encoding cp1252" in str(error.fix)
    assert read(path, encoding="cp1252")[-2] == {"text": "café"}


def test_a_bad_byte_far_into_the_file(write: Write, read: Read) -> None:
    head = ("text\n" + "ä" * 5000 + "\n").encode() + ("ü" * 7 + "\n").encode() * 200_000
    path = write("a.csv", head + b"x\xc3\n")

    error = refused(read, path, 200_003)
    assert f"byte {len(head) + 1} " in error.message


def test_utf16_from_a_spreadsheet(write: Write, read: Read) -> None:
    path = write("a.csv", "text\nü\n".encode("utf-16"))

    assert "--encoding utf-16" in str(refused(read, path, 1).fix)
    assert read(path, encoding="utf-16") == [{"text": "ü"}]


def test_an_encoding_nobody_knows(write: Write, read: Read) -> None:
    with pytest.raises(DataError, match="no encoding 'utf-9'"):
        read(write("a.csv", "text\na\n"), encoding="utf-9")


def test_nul_characters(write: Write, read: Read) -> None:
    assert "NUL" in refused(read, write("a.csv", b"text\nok\na\0b\n"), 3).message


def test_a_cell_of_ten_megabytes(write: Write, read: Read) -> None:
    cell = "x" * 10_000_000

    assert read(write("a.csv", f"id,text\n1,{cell}\n"))[0]["text"] == cell


def test_a_quote_that_would_eat_the_memory(write: Write, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    before = csv.field_size_limit(100)
    monkeypatch.setattr("pilothouse.datasets.readers.csv.CELL_LIMIT", 1000)
    try:
        path = write("a.csv", 'id,text\n1,"open\n' + "more\n" * 1000)
        assert "never closed" in refused(read, path, 2).message
    finally:
        csv.field_size_limit(before)


def test_a_file_that_is_not_there(tmp_path: Path, write: Write, read: Read) -> None:
    near = write("train.csv", "a\n1\n")
    with pytest.raises(NotFound) as caught:
        read(near.with_name("trian.csv"))
    assert "train.csv" in str(caught.value.expected)


def test_hostile_names_are_plain_columns(write: Write, read: Read) -> None:
    path = write("a.csv", "${data.x},__class__,'; DROP TABLE x\n1,2,3\n")

    assert read(path) == [{"${data.x}": "1", "__class__": "2", "'; DROP TABLE x": "3"}]
