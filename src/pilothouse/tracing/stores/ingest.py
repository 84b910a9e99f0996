"""From segments into the store: each span once, whatever is killed in between.

What a segment gave and how far it was read are committed in one transaction. A segment is removed only after that,
and only when its writer is gone. A span that comes a second time is known by its ids; a resend carries the same start,
so only spans of the batch's own time are looked through.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

import msgspec

from pilothouse.core.storage import segments
from pilothouse.core.storage.files import write_atomic
from pilothouse.tracing.normaliser import column_sql
from pilothouse.tracing.stores.schema import BASE, CANONICAL, PAYLOAD, names, one, transaction
from pilothouse.tracing.stores.staging import Batch, RejectedLine, batches, staged_lines
from pilothouse.tracing.types import IngestReport

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REJECTED: Final = "rejected"
_STAGING: Final = "staging.jsonl"

_WRITTEN: Final = (
    "{trace_id: 'VARCHAR', span_id: 'VARCHAR', parent_id: 'VARCHAR', name: 'VARCHAR', kind: 'VARCHAR',"
    " start_ns: 'BIGINT', end_ns: 'BIGINT', status: 'VARCHAR', status_message: 'VARCHAR', attributes: 'JSON',"
    " events: 'JSON', links: 'JSON', resource: 'JSON', scope: 'JSON', dropped: 'INTEGER', writer: 'VARCHAR',"
    " seq: 'BIGINT'}"
)

# A line that the engine cannot read comes as a row of NULLs and is told apart by its missing id.
_LOAD: Final = """
CREATE OR REPLACE TEMP TABLE batch AS
SELECT trace_id, span_id, parent_id, name, kind, start_ns, end_ns, status, status_message,
       resource->>'$$."service.name"' AS service, NULLIF(scope->>'$$."name"', '') AS scope_name,
       COALESCE(dropped, 0) AS dropped, $canonical, attributes, events, links, resource, scope, writer, seq
FROM (
    SELECT *, $list AS v
    FROM read_json(?, format = 'newline_delimited', columns = $written, auto_detect = false,
                   ignore_errors = true, maximum_object_size = 16777216)
)
WHERE span_id IS NOT NULL
"""

_DROP_KNOWN: Final = """
DELETE FROM batch USING all_spans AS known
WHERE known.start_ns BETWEEN ? AND ? AND known.trace_id = batch.trace_id AND known.span_id = batch.span_id
"""

_STORE: Final = """
INSERT INTO writers SELECT writer, count(*), max(seq) FROM batch GROUP BY writer
ON CONFLICT (id) DO UPDATE SET
    received = received + excluded.received, last_seq = greatest(last_seq, excluded.last_seq);
INSERT INTO spans SELECT $spans FROM batch ORDER BY start_ns;
INSERT INTO span_payloads SELECT trace_id, span_id, start_ns, $payload FROM batch ORDER BY start_ns;
DROP TABLE batch;
"""

_ADVANCE: Final = """
INSERT INTO segments VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    read_to = excluded.read_to, rejected = rejected + excluded.rejected, torn = torn + excluded.torn
"""


def ingest(connection: DuckDBPyConnection, folder: Path) -> IngestReport:
    """Bring everything that the segments hold into the store and remove the segments that are finished.

    Args:
        connection: The open store, owned by this process, with its views.
        folder: The folder of all telemetry.
    """
    paths = segments.list_segments(folder / segments.FOLDER)
    report = IngestReport()
    for batch in batches(paths, _offsets(connection, paths), folder / _STAGING):
        report += _load(connection, folder, batch)
    (folder / _STAGING).unlink(missing_ok=True)
    offsets = _offsets(connection, paths)
    for path in paths:
        report += _finish(connection, folder, path, offsets.get(path.name, 0))
    return report


def _offsets(connection: DuckDBPyConnection, paths: list[Path]) -> dict[str, int]:
    wanted = [path.name for path in paths]
    rows = connection.execute(
        "SELECT name, read_to FROM segments WHERE name IN (SELECT unnest(?::VARCHAR[]))", [wanted]
    )
    return dict(rows.fetchall())


def _load(connection: DuckDBPyConnection, folder: Path, batch: Batch) -> IngestReport:
    with transaction(connection):
        known = 0
        if batch.lines:
            _read(connection, batch)
            deleted = one(connection, _DROP_KNOWN, [batch.first_ns, batch.last_ns])
            known = int(deleted[0])
            connection.execute(_STORE_ALL)
        # Written before the commit, under a name that a repetition after a crash takes again.
        _set_aside(folder, batch.rejected)
        rejected = Counter(line.segment for line in batch.rejected)
        for segment, end in batch.read_to.items():
            connection.execute(_ADVANCE, [segment, end, rejected[segment], 0])
    return IngestReport(
        spans=len(batch.lines) - known,
        duplicates=batch.duplicates + known,
        rejected=len(batch.rejected),
        bytes=batch.size,
    )


def _read(connection: DuckDBPyConnection, batch: Batch) -> None:
    """Read the staged lines into the table ``batch``; those the engine refuses go to the rejected ones."""
    connection.execute(_LOAD_ALL, [str(batch.path)])
    if one(connection, "SELECT count(*) FROM batch")[0] == len(batch.lines):
        return
    present = {row[0] for row in connection.execute("SELECT trace_id || span_id FROM batch").fetchall()}
    refused = [
        (origin, line)
        for origin, line in zip(batch.lines, staged_lines(batch), strict=True)
        if origin.key not in present
    ]
    for origin, line in refused:
        batch.reject(origin.segment, origin.end, "the engine cannot read this line", line)
    batch.lines = [origin for origin in batch.lines if origin.key in present]


def _set_aside(folder: Path, rejected: list[RejectedLine]) -> None:
    by_segment: dict[str, list[RejectedLine]] = {}
    for line in rejected:
        by_segment.setdefault(line.segment, []).append(line)
    for segment, lines in by_segment.items():
        lines.sort(key=lambda line: line.end)
        name = f"{segment.removesuffix('.jsonl')}-{lines[0].end}.jsonl"
        write_atomic(
            folder / REJECTED / name, b"".join(msgspec.json.encode(line) + b"\n" for line in lines), mode=0o600
        )


def _finish(connection: DuckDBPyConnection, folder: Path, path: Path, read_to: int) -> IngestReport:
    """Remove a segment that was read to its end and whose writer is gone; keep its torn last line aside."""
    with segments.abandoned(path) as gone:
        if not gone:
            return IngestReport()
        tail = _tail(path, read_to)
        if b"\n" in tail:
            return IngestReport()  # it grew after it was read, and then its writer left: next time
        if tail:
            size = read_to + len(tail)
            torn = RejectedLine(
                path.name, size, "the writer died in this line", tail.decode("utf-8", "backslashreplace")
            )
            _set_aside(folder, [torn])
            with transaction(connection):
                connection.execute(_ADVANCE, [path.name, size, 0, 1])
        path.unlink()
    return IngestReport(finished=1, torn=1 if tail else 0)


def _tail(path: Path, start: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read()


def _statements() -> tuple[str, str]:
    expressions, listed = column_sql("attributes")
    canonical = ", ".join(
        f'{expression} AS "{name}"' for expression, (name, _) in zip(expressions, CANONICAL, strict=True)
    )
    return (
        Template(_LOAD).substitute(canonical=canonical, list=listed, written=_WRITTEN),
        Template(_STORE).substitute(spans=names((*BASE, *CANONICAL)), payload=names(PAYLOAD)),
    )


_LOAD_ALL, _STORE_ALL = _statements()
