"""What holds for any rows: they are read as they were written, and their digest depends on nothing else."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.core.canonical import canonical_json
from pilothouse.core.errors import DataError
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.profile import Profiler
from pilothouse.datasets.readers.base import ReadOptions

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.lists(
    text.filter(lambda name: name.strip() and not name.startswith("\ufeff")), min_size=1, max_size=4, unique=True
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
objects = st.lists(st.dictionaries(text, values, max_size=4), min_size=1, max_size=6)


def read(path: Path) -> list[dict[str, Any]]:
    return [record.data for record in read_files(find_files(path), ReadOptions())]


def digest(rows: list[dict[str, Any]]) -> str:
    profiler = Profiler()
    for row in rows:
        profiler.add(row)
    return profiler.profile().digest


@RELAXED
@given(st.data(), names, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_csv_round_trip(tmp_path: Path, data: st.DataObject, columns: list[str], end: str, encoding: str) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, text)), min_size=1, max_size=6))
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding=encoding) as sink:
        writer = csv.DictWriter(sink, columns, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)

    assert read(path) == rows


@RELAXED
@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_json_round_trip(tmp_path: Path, rows: list[dict[str, Any]], ascii_only: bool, indent: int | None) -> None:
    lines, array = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_bytes(b"".join(json.dumps(row, ensure_ascii=ascii_only).encode() + b"\n" for row in rows))
    array.write_bytes(json.dumps(rows, ensure_ascii=ascii_only, indent=indent).encode())

    for path in (lines, array):
        found = read(path)
        assert found == rows
        assert [types(row) for row in found] == [types(row) for row in rows]  # 1 stays 1, 1.0 stays 1.0


def types(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: types(item) for name, item in value.items()}
    return [types(item) for item in value] if isinstance(value, list) else type(value)


@RELAXED
@given(objects, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_keys(rows: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = [dict(chance.sample(list(row.items()), len(row))) for row in rows]

    assert digest(shuffled) == digest(rows)


@RELAXED
@given(objects)
def test_lines_are_canonical_json_and_the_digest_is_theirs(rows: list[dict[str, Any]]) -> None:
    lines = [Profiler().add(row) for row in rows]

    assert lines == [canonical_json(row) + b"\n" for row in rows]
    assert [msgspec.json.decode(line) for line in lines] == rows


@RELAXED
@given(objects, objects)
def test_other_rows_have_another_digest(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    same = [canonical_json(row) for row in one] == [canonical_json(row) for row in other]

    assert (digest(one) == digest(other)) == same


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
@RELAXED
@given(content=st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        rows = read(path)
    except DataError as error:
        assert str(path) in str(error.where)  # noqa: PT017 - an error is one of two right ends
    else:
        for row in rows:
            canonical_json(row)
