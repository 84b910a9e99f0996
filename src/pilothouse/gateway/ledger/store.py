"""The ledger's store: segments are taken in, closed days become Parquet files, questions are answered."""

# ruff: noqa: S608 - only names and constants of this package stand in statements; values are parameters
from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pilothouse.core.errors import StorageError
from pilothouse.core.storage import segments
from pilothouse.core.storage.faults import FREE_SPACE, disk_fault
from pilothouse.core.storage.files import sync_folder, write_atomic
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.gateway.ledger import tables
from pilothouse.gateway.ledger.types import IngestReport

if TYPE_CHECKING:  # the engine is loaded when the store is opened
    from duckdb import DuckDBPyConnection

_DAY: Final = 86_400_000_000_000
_BATCH: Final = 8 << 20
_OTHERS: Final = "others"
"""Stands among the segments: up to which number the batches of other hosts were taken in."""


class LedgerStore:
    """All entries of a project. One process holds it at a time; use it as a context manager.

    Args:
        folder: The ledger's folder.
        memory_limit: Memory that the engine may use.
        wait: Seconds to wait for another process that holds it.

    Raises:
        Conflict: when another process still holds it.
        StorageError: when it cannot be opened.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "512MB", wait: float = 10.0) -> None:
        self.folder = folder
        self._path = folder / "ledger.duckdb"
        self._lock = OwnerLock(folder / "owner.lock", wait, what="the ledger's store")
        try:
            self._connection = _connect(self._path, memory_limit)
            with self._faults():
                self._connection.execute(tables.TABLES)
                self._reconcile()
                self._refresh()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and let another process have it."""
        self._connection.close()
        self._lock.release()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a question to the views `recorded` and `rated`."""
        with self._faults():
            return self._connection.execute(sql, list(parameters)).fetchall()

    def ingest(
        self,
        sent: Mapping[str, int] | None = None,
        others: Callable[[int], Iterable[tuple[int, bytes]]] = lambda _: (),
    ) -> IngestReport:
        """Take in what all processes have written, each entry once; remove segments whose writers are gone.

        Args:
            sent: Up to where each segment was sent to other hosts; one that was not sent whole is not removed. None
                where there are no others.
            others: Yields number and lines of what other hosts sent behind a number, in order.
        """
        report = IngestReport()
        with self._faults():
            had_revisions = self._any_revisions()
            known = dict(self._connection.execute("SELECT name, read_to FROM segments").fetchall())
            read_to: dict[Path, int] = {}
            for pieces in _batches(segments.list_segments(self.folder / segments.FOLDER), known):
                report += self._load(pieces)
                read_to.update({piece.path: piece.end for piece in pieces})
            for number, data in others(known.get(_OTHERS, 0)):
                report += self._load([_Piece(Path(_OTHERS), data, number)])
            report += self._finish(read_to, sent)
            if not had_revisions and report.revisions:
                self._refresh()
        return report

    def seal(self, before_ns: int) -> int:
        """Move every whole day (UTC) that ended by a moment into one Parquet file each; return how many calls."""
        with self._faults():
            days = self._connection.execute(
                f"SELECT DISTINCT at_ns // {_DAY} FROM calls WHERE at_ns < ? ORDER BY 1", [before_ns // _DAY * _DAY]
            ).fetchall()
            moved = sum(self._seal_day(day) for (day,) in days)
            if moved:
                self._refresh()
                self._connection.execute("CHECKPOINT")
        return moved

    def _load(self, pieces: list[_Piece]) -> IngestReport:
        data = b"".join(piece.data for piece in pieces)
        if not data:
            return IngestReport()
        with self._transaction():
            lines = self._staged(_readable(data))
            known = self._one(
                f"SELECT count(*) FILTER ({tables.CALL}), count(*) FILTER ({tables.REVISION}),"
                f" count(DISTINCT v.id) FILTER ({tables.CALL}) FROM batch"
            )
            calls = self._one(tables.STORE_CALLS + (tables.ONCE if known[2] < known[0] else ""))[0]
            revisions = self._one(tables.STORE_REVISIONS)[0]
            self._connection.execute(tables.STORE_GIVEN_UP)
            refused = self._connection.execute(
                f"SELECT line FROM batch WHERE (({tables.CALL}) OR ({tables.REVISION})) IS NOT TRUE"
            ).fetchall()
            # Before the commit, under a name that a repetition after a crash takes again.
            self._set_aside(pieces[0].path.name, pieces[0].end, (line for (line,) in refused))
            self._connection.executemany(tables.ADVANCE, [(piece.path.name, piece.end) for piece in pieces])
            self._connection.execute("DROP TABLE batch")
        accepted = known[0] + known[1]
        return IngestReport(
            calls=calls,
            revisions=revisions,
            duplicates=accepted - calls - revisions,
            rejected=lines - accepted,
        )

    def _staged(self, data: bytes) -> int:
        staging = self.folder / "staging.jsonl"
        try:
            staging.write_bytes(data)
            self._connection.execute(tables.STAGE, [str(staging)])
        except OSError as error:
            raise disk_fault(error, staging, "take entries in") from error
        finally:
            staging.unlink(missing_ok=True)
        return self._one("SELECT count(*) FROM batch")[0]

    def _finish(self, read_to: dict[Path, int], sent: Mapping[str, int] | None) -> IngestReport:
        """Remove segments that were read to their end and whose writers are gone; keep torn last lines aside."""
        torn, removed = 0, list[str]()
        for path, end in read_to.items():
            if sent is not None and sent.get(path.name, 0) < end:
                continue  # written between the sending and the reading: next time
            with segments.abandoned(path) as gone:
                if not gone:
                    continue
                with path.open("rb") as stream:
                    stream.seek(end)
                    tail = stream.read()
                if b"\n" in tail:
                    continue  # it grew after it was read, and then its writer left: next time
                if tail:
                    torn += 1
                    self._set_aside(path.name, end + len(tail), [tail.decode("utf-8", "backslashreplace")])
                path.unlink()
                removed.append(path.name)
        if removed:
            self._connection.execute("DELETE FROM segments WHERE list_contains(?::VARCHAR[], name)", [removed])
        return IngestReport(torn=torn)

    def _set_aside(self, name: str, end: int, lines: Iterable[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
        if data:
            write_atomic(self.folder / "rejected" / f"{name.removesuffix('.jsonl')}-{end}.txt", data, mode=0o600)

    def _seal_day(self, day: int) -> int:
        first, end = day * _DAY, (day + 1) * _DAY
        name = f"{day}-{secrets.token_hex(4)}.parquet"
        path = self.folder / "sealed" / name
        chosen = f"FROM calls WHERE at_ns >= {first} AND at_ns < {end}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection.execute(
                f"COPY (SELECT {tables.NAMES} {chosen} ORDER BY at_ns, id) TO {_quoted(path)}"
                " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440)"
            )
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise disk_fault(error, path, "seal the ledger") from error
        with self._transaction():
            bounds = self._one(f"SELECT min(at_ns), max(at_ns) {chosen}")
            count = self._one(f"DELETE {chosen}")[0]
            self._connection.execute("INSERT INTO sealed VALUES (?, ?, ?, ?)", [name, *bounds, count])
        return count

    def _reconcile(self) -> None:
        """Remove sealed files that no transaction registered: what a crash left.

        Raises:
            StorageError: when a registered file is gone: a ledger does not forget in silence.
        """
        registered = {row[0] for row in self._connection.execute("SELECT file FROM sealed").fetchall()}
        present = {path.name for path in (self.folder / "sealed").glob("*")}
        for name in present - registered:
            (self.folder / "sealed" / name).unlink(missing_ok=True)
        if registered - present:
            raise StorageError(
                f"{len(registered - present)} sealed files of the ledger are missing: {min(registered - present)}",
                where=str(self.folder / "sealed"),
                fix="bring them back from a backup",
            )

    def _refresh(self) -> None:
        files = self._connection.execute("SELECT file FROM sealed ORDER BY file").fetchall()
        sealed = [_quoted(self.folder / "sealed" / name) for (name,) in files]
        self._connection.execute(tables.views(sealed, revised=self._any_revisions()))

    def _any_revisions(self) -> bool:
        return self._one("SELECT EXISTS (SELECT 1 FROM revisions)")[0]

    def _one(self, sql: str) -> tuple[Any, ...]:
        row = self._connection.execute(sql).fetchone()
        if row is None:
            raise StorageError("the ledger's store gave no answer where one was certain")
        return row

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _faults(self) -> Generator[None]:
        """Tell failures of the engine as `StorageError`."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            text = str(error).splitlines()[0]
            fix = FREE_SPACE if "No space left" in text else None
            raise StorageError(f"the ledger's store failed: {text}", where=str(self._path), fix=fix) from error


def _connect(path: Path, memory_limit: str) -> DuckDBPyConnection:
    import duckdb

    try:
        connection = duckdb.connect(
            path,
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(path.with_name("spill")),
                # nothing is fetched from anywhere
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        # In a program without a file of its own it would draw a bar into what a command prints.
        connection.execute("SET enable_progress_bar = false")
        # It narrows sums over a join with an empty table by a range that they do not have, and fails.
        connection.execute("SET disabled_optimizers = 'compressed_materialization'")
    except duckdb.Error as error:
        raise StorageError(f"cannot open the ledger's store: {error}", where=str(path)) from error
    return connection


class _Piece(NamedTuple):
    """Complete lines of a segment, up to an offset."""

    path: Path
    data: bytes
    end: int


def _batches(paths: list[Path], read_to: dict[str, int]) -> Iterator[list[_Piece]]:
    """Yield what segments hold beyond what was read, some megabytes at a time; each segment occurs at least once."""
    batch, size = list[_Piece](), 0
    for path in paths:
        for piece in _pieces(path, read_to.get(path.name, 0)):
            batch.append(piece)
            size += len(piece.data)
            if size >= _BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _pieces(path: Path, end: int) -> Iterator[_Piece]:
    try:
        with path.open("rb") as stream:
            stream.seek(end)
            rest = b""
            while data := stream.read(_BATCH):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                end += cut
                yield _Piece(path, data[:cut], end)
            yield _Piece(path, b"", end)
    except OSError as error:
        raise disk_fault(error, path, "read the ledger") from error


def _readable(data: bytes) -> bytes:
    """Return lines that the engine reads as lines: what no writer of ours has written may hold anything."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("utf-8", "backslashreplace").encode()
    return data.translate(_HARMLESS) if any(byte in data for byte in _HARMFUL) else data


_HARMFUL: Final = (b"\x00", b"\x01", b"\r")
_HARMLESS: Final = bytes.maketrans(b"\x00\x01\r", b"???")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
