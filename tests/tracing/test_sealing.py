"""Closed days in sealed files: the same answers, nothing lost to a crash, old ones gone, columns derived anew."""

from __future__ import annotations

import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from pilothouse.core.errors import StorageError
from pilothouse.tracing.stores import sealing
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import TraceFilter, moment

from .conftest import RunPython
from .recording import DAY, START, Capture, span_id, stored_ids, trace_id

FIRST = moment(START)
LATER = FIRST + timedelta(days=60)


def record_days(capture: Capture, days: int) -> None:
    for day in range(days):
        for number in range(4):
            capture.span(f"day {day}", start=START + day * DAY + number, gen_ai__request__model=f"m{day}")


def rows(folder: Path) -> list[tuple[object, ...]]:
    with SpanStore(folder) as store:
        return store._connection.execute(
            "SELECT s.*, p.* FROM all_spans AS s JOIN all_payloads AS p USING (trace_id, span_id) ORDER BY ALL"
        ).fetchall()


def test_every_column_of_every_span_is_the_same_after_sealing(capture: Capture) -> None:
    record_days(capture, 3)
    capture.span("odd \x00\u2028 '\" \U0001f600", value="\ud800", number=float("nan"), big=10**30)
    capture.ingest()
    live = rows(capture.folder)
    with SpanStore(capture.folder) as store:
        report = store.seal(LATER)
        assert (report.spans, len(report.files)) == (13, 3)
        stats = store.stats()
        assert (stats.sealed_spans, stats.sealed_files, stats.spans) == (13, 3, 13)
        assert store.oldest() is None
    assert rows(capture.folder) == live


def test_only_days_that_are_over_are_sealed(capture: Capture) -> None:
    record_days(capture, 3)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        assert store.seal(FIRST).spans == 0
        assert store.seal(FIRST + timedelta(days=1)).spans == 4
        assert store.seal(FIRST + timedelta(days=1)).spans == 0
        assert store.stats().spans == 12


def test_a_late_span_of_a_sealed_day_is_sealed_by_itself(capture: Capture) -> None:
    record_days(capture, 1)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        store.seal(LATER)
    capture.span("late", start=START + 500)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        assert store.stats().spans == 5
        store.seal(LATER)
        assert (store.stats().sealed_files, store.stats().spans) == (2, 5)


KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from pilothouse.tracing.stores import sealing
from pilothouse.tracing.stores.duckdb import SpanStore

left = int(sys.argv[3])
inner = getattr(sealing, sys.argv[2])
def counted(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(*arguments)
setattr(sealing, sys.argv[2], counted)
with SpanStore(Path(sys.argv[1])) as store:
    store.seal(datetime(2027, 1, 1, tzinfo=UTC))
"""


@pytest.mark.parametrize(
    ("place", "after"), [("_write", 1), ("sync_folder", 0), ("transaction", 0), ("transaction", 1), ("one", 2)]
)
def test_killed_while_sealing(capture: Capture, run_python: RunPython, place: str, after: int) -> None:
    record_days(capture, 3)
    capture.ingest()
    before = rows(capture.folder)
    run_python(KILLED, capture.folder, place, after, check=-signal.SIGKILL)
    assert rows(capture.folder) == before
    with SpanStore(capture.folder) as store:
        store.seal(LATER)
        assert store.stats().sealed_files == len(list((capture.folder / "sealed").iterdir())) == 3
    assert rows(capture.folder) == before


def test_the_project_may_be_moved(capture: Capture, tmp_path: Path) -> None:
    record_days(capture, 2)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        store.seal(LATER)
    capture.close()
    shutil.move(capture.folder, tmp_path / "moved 'here'")
    assert len(stored_ids(tmp_path / "moved 'here'")) == 8


def test_old_days_are_removed_as_files(capture: Capture) -> None:
    record_days(capture, 4)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        store.seal(FIRST + timedelta(days=2))
        report = store.expire(FIRST + timedelta(days=3))
        assert (report.spans, len(report.files)) == (12, 2)
        assert store.stats().spans == 4
        assert list((capture.folder / "sealed").iterdir()) == []
        assert store.expire(FIRST + timedelta(days=3)).spans == 0
        assert [summary.head.name for summary in store.list_traces(TraceFilter(), 10, None).traces] == ["day 3"] * 4


def test_a_sealed_file_that_somebody_removed_is_forgotten(capture: Capture) -> None:
    record_days(capture, 2)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        first, _ = store.seal(LATER).files
    (capture.folder / "sealed" / first).unlink()
    with SpanStore(capture.folder) as store:
        assert (store.stats().spans, store.stats().sealed_spans) == (4, 4)


def test_a_sealed_file_that_is_damaged_is_told(capture: Capture) -> None:
    record_days(capture, 1)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        (file,) = store.seal(LATER).files
    (capture.folder / "sealed" / file).write_bytes(b"not parquet any more")
    with pytest.raises(StorageError, match="span store failed"):
        stored_ids(capture.folder)


@pytest.mark.parametrize("sealed", [False, True])
def test_columns_are_derived_anew_when_the_table_of_names_changes(capture: Capture, sealed: bool) -> None:
    """An older version did not know a dialect: its spans gain what they lacked, from their raw attributes."""
    span = capture.span("call", gen_ai__request__model="m", llm__token_count__prompt=7)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        connection = store._connection
        connection.execute("UPDATE spans SET request_model = 'wrong', input_tokens = NULL")
        if sealed:
            store.seal(LATER)
        connection.execute("UPDATE meta SET value = 0 WHERE name = 'normaliser'")
    with SpanStore(capture.folder) as store:
        found = store.trace(trace_id(span), 1).spans[0].span
        assert (found.request_model, found.input_tokens) == ("m", 7)
        assert store.payload(trace_id(span), span_id(span)).attributes["llm.token_count.prompt"] == 7
        assert store.stats().sealed_files == len(list(capture.folder.glob("sealed/*"))) == int(sealed)
        assert sealing.derive_again(store._connection, capture.folder) == 0, "once is enough"


def test_a_new_column_is_added_to_an_old_store(capture: Capture) -> None:
    capture.span("call", gen_ai__request__model="m")
    capture.ingest()
    with SpanStore(capture.folder) as store:
        store.seal(LATER)
        store._connection.execute("ALTER TABLE spans DROP COLUMN error_type")
        store._connection.execute("UPDATE meta SET value = 0 WHERE name = 'normaliser'")
    with SpanStore(capture.folder) as store:
        assert store.list_traces(TraceFilter(), 1, None).traces[0].head.request_model == "m"
