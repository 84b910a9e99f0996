"""The DuckDB store: owned by this process from opening to closing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pilothouse.core.storage import segments
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.tracing.stores import ingest, listing, queries, sealing
from pilothouse.tracing.stores.schema import connect, engine_faults, one, refresh_views
from pilothouse.tracing.types import (
    Cursor,
    IngestReport,
    ModelUsage,
    SealReport,
    SpanPayload,
    StoreStats,
    Trace,
    TraceFilter,
    TracePage,
    moment,
)

DATABASE = "spans.duckdb"


class SpanStore:
    """All spans of a project. Use it as a context manager, or call `close`.

    Args:
        folder: The folder of all telemetry.
        memory_limit: Memory that the engine may use, such as ``512MB``.
        wait: Seconds to wait for another process that holds the store.

    Raises:
        Conflict: when another process still holds it.
        StorageError: when it cannot be opened.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "512MB", wait: float = 5.0) -> None:
        self.folder = folder
        self._path = folder / DATABASE
        self._lock = OwnerLock(folder / "owner.lock", wait)
        try:
            self._connection = connect(self._path, memory_limit)
            with engine_faults(self._path):
                sealing.reconcile(self._connection, folder)
                sealing.derive_again(self._connection, folder)
                refresh_views(self._connection, folder / sealing.SEALED)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and let another process have it."""
        self._connection.close()
        self._lock.release()

    def ingest(self) -> IngestReport:
        """Bring in what all processes have written up to now."""
        with engine_faults(self._path):
            return ingest.ingest(self._connection, self.folder)

    def list_traces(self, wanted: TraceFilter, limit: int, after: Cursor | None) -> TracePage:
        """Return a page of traces, the newest first."""
        with engine_faults(self._path):
            return listing.list_traces(self._connection, wanted, limit, after)

    def find_trace(self, prefix: str) -> str:
        """Return the id of the one trace that begins with ``prefix``."""
        with engine_faults(self._path):
            return queries.find_trace(self._connection, prefix)

    def trace(self, trace_id: str, limit: int, offset: int = 0) -> Trace:
        """Return a page of one trace's tree."""
        with engine_faults(self._path):
            return queries.read_trace(self._connection, trace_id, limit, offset)

    def payload(self, trace_id: str, prefix: str) -> SpanPayload:
        """Return what the one span that begins with ``prefix`` carries besides its columns."""
        with engine_faults(self._path):
            return queries.read_payload(self._connection, trace_id, prefix)

    def models(self, wanted: TraceFilter) -> tuple[ModelUsage, ...]:
        """Return calls, latency and tokens by model."""
        with engine_faults(self._path):
            return queries.model_usage(self._connection, wanted)

    def stats(self) -> StoreStats:
        """Return what the store holds and what it misses."""
        with engine_faults(self._path):
            spans, traces, errors, first, last = one(
                self._connection,
                "SELECT count(*), count(DISTINCT trace_id), count(*) FILTER (status = 'error'),"
                " min(start_ns), max(start_ns) FROM all_spans",
            )
            rejected, torn = one(
                self._connection, "SELECT COALESCE(sum(rejected), 0), COALESCE(sum(torn), 0) FROM segments"
            )
            (missing,) = one(self._connection, "SELECT COALESCE(sum(last_seq - received), 0) FROM writers")
            sealed, files = one(self._connection, "SELECT COALESCE(sum(spans), 0), count(*) FROM sealed")
        return StoreStats(
            spans=spans,
            traces=traces,
            errors=errors,
            sealed_spans=int(sealed),
            sealed_files=files,
            missing=max(int(missing), 0),
            rejected=int(rejected),
            torn=int(torn),
            first=None if first is None else moment(first),
            last=None if last is None else moment(last),
            database_bytes=_size([self._path, self._path.with_name(f"{DATABASE}.wal")]),
            sealed_bytes=_size(self.folder.glob(f"{sealing.SEALED}/*.parquet")),
            waiting_bytes=_size(segments.list_segments(self.folder / segments.FOLDER)),
        )

    def oldest(self) -> datetime | None:
        """Return when the earliest span that is not sealed began."""
        with engine_faults(self._path):
            (first,) = one(self._connection, "SELECT min(start_ns) FROM spans")
        return None if first is None else moment(first)

    def seal(self, before: datetime) -> SealReport:
        """Move whole days (UTC) that ended by ``before`` into sealed files."""
        with engine_faults(self._path):
            return sealing.seal(self._connection, self.folder, before)

    def expire(self, before: datetime) -> SealReport:
        """Remove whole days (UTC) that ended by ``before``."""
        with engine_faults(self._path):
            return sealing.expire(self._connection, self.folder, before)


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())
