"""Parquet, streamed by DuckDB. Logical types become the JSON values that lose nothing.

==============================  =====================================================================
Parquet                         row
==============================  =====================================================================
strings, booleans, integers     the same, integers of any size
floating point                  the same; NaN and the infinities are refused
null                            null
date, time, timestamp           text: ``2024-01-31``, ``12:30:00``, ``2024-01-31 12:30:00.123456``;
                                a timestamp with a time zone in UTC, ending in ``+00``
decimal, UUID, interval         text, as exact as it is stored
bytes                           text in base64
list, struct, map               array, object, object (the keys of a map as text)
==============================  =====================================================================
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pilothouse.core.errors import DataError, NotFound
from pilothouse.datasets.readers.base import ReadOptions, Record

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

BATCH = 1024
"""Rows fetched at once."""

_FILE = "read_parquet(?, hive_partitioning = false)"
_INTEGERS = {f"{sign}{size}" for sign in ("", "u") for size in ("tinyint", "smallint", "integer", "bigint", "hugeint")}
_PLAIN = {"varchar", "boolean", *_INTEGERS}
_CHECKED = {"float", "double", "blob"}


def read_parquet(path: Path, _options: ReadOptions) -> Iterator[Record]:
    """Yield the rows of a Parquet file.

    Raises:
        NotFound: when there is no such file.
        DataError: when it is not Parquet, or holds NaN or an infinity, with the number of the row.
    """
    import duckdb

    if not path.is_file():
        raise NotFound("there is no such file", where=str(path))
    # One thread is fast enough and keeps few row groups in memory. Nothing is ever loaded from elsewhere.
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    literal = re.sub(r"([*?\[])", r"[\1]", str(path))
    try:
        with duckdb.connect(config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            shape = connection.sql(f"SELECT * FROM {_FILE}", params=[literal])  # noqa: S608 - no outside text in it
            names, kinds = list(shape.columns), list(shape.types)
            wanted = ", ".join(
                f"CAST({_quoted(name)} AS {_readable(kind)})" for name, kind in zip(names, kinds, strict=True)
            )
            checked = [name for name, kind in zip(names, kinds, strict=True) if kind.id not in _PLAIN]
            rows = connection.execute(f"SELECT {wanted} FROM {_FILE}", [literal])  # noqa: S608 - names are quoted
            number = 0
            while batch := rows.fetchmany(BATCH):
                for values in batch:
                    number += 1
                    data = dict(zip(names, values, strict=True))
                    for name in checked:
                        data[name] = _json_value(data[name], path, number, name)
                    yield Record(path, number, data)
    except duckdb.Error as error:
        raise DataError(
            f"this cannot be read as Parquet: {str(error).partition(chr(10))[0]}", where=str(path)
        ) from error


def _readable(kind: DuckDBPyType) -> str:
    """Return the SQL type in which values arrive in Python without loss; text, where Python has none."""
    parts = dict(kind.children) if kind.id in {"list", "array", "struct", "map"} else {}
    inner = {name: _readable(cast("DuckDBPyType", part)) for name, part in parts.items() if name != "size"}
    if kind.id == "list":
        return f"{inner['child']}[]"
    if kind.id == "array":
        return f"{inner['child']}[{parts['size']}]"
    if kind.id == "struct":
        return f"STRUCT({', '.join(f'{_quoted(name)} {part}' for name, part in inner.items())})"
    if kind.id == "map":
        return f"MAP(VARCHAR, {inner['value']})"
    return str(kind) if kind.id in _PLAIN | _CHECKED else "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _json_value(value: Any, path: Path, number: int, column: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(
            f"row {number}, column '{column}' holds {value}, which JSON has no form for",
            where=str(path),
            expected="a finite number or null",
            fix="write null where there is no value",
        )
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return {name: _json_value(item, path, number, column) for name, item in items.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item, path, number, column) for item in cast("list[Any]", value)]
    return value
