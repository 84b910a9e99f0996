"""JSON lines: JSON stays JSON; a bad line is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import DataError

Read = Callable[..., list[dict[str, Any]]]
Write = Callable[[str, str | bytes], Path]


def test_json_stays_json(write: Write, read: Read) -> None:
    path = write(
        "a.jsonl",
        '{"date": "2024-01-31", "n": 1, "f": 1.0, "big": 123456789012345678901234567890, "l": [1, {"a": null}]}\n'
        '{"n": null, "t": true, "s": "a:b \\u00fc \\u0000"}\n',
    )

    first, second = read(path)
    assert first == {
        "date": "2024-01-31",
        "n": 1,
        "f": 1.0,
        "big": 123456789012345678901234567890,
        "l": [1, {"a": None}],
    }
    assert (type(first["n"]), type(first["f"])) == (int, float)
    assert second == {"n": None, "t": True, "s": "a:b ü \0"}
    assert "date" not in second  # absent stays absent: a default applies


def test_marks_line_ends_and_empty_lines(write: Write, read: Read) -> None:
    path = write("a.jsonl", '\ufeff{"a": 1}\r\n\n  \n{"a": "x\u2028y"}')

    assert read(path) == [{"a": 1}, {"a": "x\u2028y"}]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": 1', "not JSON"),
        ('{"a": 1} {"a": 2}', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too big"),
        ('{"a": ' + "9" * 6000 + "}", "too big"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' stands twice"),
        ('{"x": {"a": 1, "a" : 3}}', "'a' stands twice"),
        ('{"a":1,"a" :2}', "'a' stands twice"),
        ("[1, 2]", "an array"),
        ("[", "array begins"),
        ('"text"', "a string"),
        ("17", "a number"),
        ("null", "null"),
        ("true", "a boolean"),
        ('{"a": "\\ud800"}', "not JSON"),
        ('{"a": "\t"}', "not JSON"),
        ('{"a": "x\ry"}', "not JSON"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_a_bad_line_is_named(write: Write, read: Read, line: str, said: str) -> None:
    path = write("a.jsonl", '{"a": 1}\n' * 16 + line + "\n" + '{"a": 1}\n')

    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.where == f"{path}:17"
    assert said in caught.value.message


def test_a_number_of_many_digits_is_kept_whole(write: Write, read: Read) -> None:
    digits = "9" * 4000
    assert read(write("a.jsonl", f'{{"a": -{digits}, "b": ":"}}\n'))[0]["a"] == -int(digits)


def test_a_line_of_ten_megabytes(write: Write, read: Read) -> None:
    text = "x:" * 5_000_000

    assert read(write("a.jsonl", f'{{"text": "{text}"}}\n')) == [{"text": text}]


def test_bytes_that_are_not_utf8(write: Write, read: Read) -> None:
    path = write("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n')

    with pytest.raises(DataError, match="byte 16 of the file is not UTF-8") as caught:
        read(path)
    assert caught.value.where == f"{path}:2"


def test_the_suffix_may_be_ndjson_and_in_capitals(write: Write, read: Read) -> None:
    assert read(write("a.NDJSON", '{"a": 1}\n')) == [{"a": 1}]
