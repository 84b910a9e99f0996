"""Parquet: logical types become JSON values that lose nothing."""

import datetime as dt
import decimal
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pilothouse.core.canonical import canonical_json
from pilothouse.core.errors import DataError, NotFound
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.readers.parquet import read_parquet

Read = Callable[..., list[dict[str, Any]]]
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def make(services: Any) -> Callable[..., Path]:
    def write(name: str = "a.parquet", **columns: Any) -> Path:
        path = services.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return write


def test_values_become_json_without_loss(make: Callable[..., Path], read: Read) -> None:
    noon = dt.datetime(2024, 1, 31, 12, 0, 0, 123456)
    path = make(
        text=["ü\0", None],
        integer=pa.array([2**63 - 1, None], pa.int64()),
        unsigned=pa.array([2**64 - 1, None], pa.uint64()),
        number=[0.1, None],
        flag=[True, None],
        date=[dt.date(2024, 1, 31), None],
        timestamp=pa.array([noon, None], pa.timestamp("us")),
        nanoseconds=pa.array([1706702400123456789, None], pa.timestamp("ns")),
        zoned=pa.array([noon.replace(tzinfo=dt.UTC), None], pa.timestamp("us", "Europe/Berlin")),
        time=[dt.time(1, 2, 3, 4), None],
        price=pa.array([decimal.Decimal("12.50"), None], pa.decimal128(30, 2)),
        blob=[b"\x00\xff", None],
        items=[[1, 2], None],
        record=[{"when": dt.date(2024, 1, 31), "b": b"\x01", "x": 1.5}, None],
        mapping=pa.array([[("k", dt.date(2024, 1, 31))], None], pa.map_(pa.string(), pa.date32())),
        category=pa.array(["x", None]).dictionary_encode(),
    )

    first, second = read(path)

    assert first == {
        "text": "ü\0",
        "integer": 2**63 - 1,
        "unsigned": 2**64 - 1,
        "number": 0.1,
        "flag": True,
        "date": "2024-01-31",
        "timestamp": "2024-01-31 12:00:00.123456",
        "nanoseconds": "2024-01-31 12:00:00.123456789",
        "zoned": "2024-01-31 12:00:00.123456+00",
        "time": "01:02:03.000004",
        "price": "12.50",
        "blob": "AP8=",
        "items": [1, 2],
        "record": {"when": "2024-01-31", "b": "AQ==", "x": 1.5},
        "mapping": {"k": "2024-01-31"},
        "category": "x",
    }
    assert set(second.values()) == {None}
    canonical_json(first)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_json_does_not_have_are_refused(make: Callable[..., Path], read: Read, value: float) -> None:
    path = make(fine=[1.0, 2.0], score=[1.0, value])

    with pytest.raises(DataError, match="row 2, column 'score'"):
        read(path)


def test_such_a_number_inside_a_list(make: Callable[..., Path], read: Read) -> None:
    with pytest.raises(DataError, match="row 1, column 'v'"):
        read(make(v=[[0.5, math.nan]]))


def test_order_and_odd_names(make: Callable[..., Path], read: Read) -> None:
    path = make("a=1/b[1]*?'.parquet", **{'a "quoted" name': list(range(5000)), "select": ["x"] * 5000})

    rows = read(path)
    assert [row['a "quoted" name'] for row in rows] == list(range(5000))
    assert set(rows[0]) == {'a "quoted" name', "select"}  # `a=1` in the path is no column


def test_what_is_not_parquet(write: Write, read: Read) -> None:
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(write("a.parquet", "PAR1 no, not really PAR1"))


def test_a_cut_file(make: Callable[..., Path], read: Read) -> None:
    path = make(a=list(range(10000)))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DataError):
        read(path)


def test_a_file_that_vanished(services: Any) -> None:
    with pytest.raises(NotFound):
        list(read_parquet(services.root / "no.parquet", ReadOptions()))
