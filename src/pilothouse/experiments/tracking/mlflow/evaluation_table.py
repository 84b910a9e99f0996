"""The rows of each arm as the evaluation table that MLflow shows: columns, then rows of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import msgspec

from pilothouse.core.canonical import digest
from pilothouse.experiments.reports.exports.records import Record, encoded, flat, typed, widen

FILE: Final = "rows.json"
_LEFT_OUT: Final = ("variant", "run")


def write_tables(folder: Path, arms: list[str], records: Callable[[], Iterator[Record]]) -> tuple[dict[str, Path], int]:
    """Write one table for every arm, reading the records twice and holding one at a time.

    Returns:
        Arm -> file, and how many rows there are in all.
    """
    columns: dict[str, str] = {}
    count = 0
    for record in records():
        if record["variant"] in arms:
            widen(columns, flat(record))
            count += 1
    names = [name for name in typed(columns) if name not in _LEFT_OUT]
    files = {arm: folder / digest(arm)[:16] / FILE for arm in arms}
    with ExitStack() as stack:
        sinks: dict[str, IO[bytes]] = {}
        for arm, file in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            sinks[arm] = stack.enter_context(file.open("wb"))
            sinks[arm].write(b'{"columns":' + encoded_list(names) + b',"data":[')
        begun: set[str] = set()
        for record in records():
            arm = record["variant"]
            if arm in sinks:
                sinks[arm].write((b",\n" if arm in begun else b"\n") + _line(flat(record), names))
                begun.add(arm)
        for sink in sinks.values():
            sink.write(b"]}\n")
    return files, count


def encoded_list(names: list[str]) -> bytes:
    """Return names as JSON."""
    return b"[" + b",".join(_value(name) for name in names) + b"]"


def _line(record: Mapping[str, object], names: list[str]) -> bytes:
    return b"[" + b",".join(_value(record.get(name)) for name in names) + b"]"


def _value(value: object) -> bytes:
    return bytes(msgspec.json.decode(encoded({"_": value}), type=dict[str, msgspec.Raw])["_"])
