"""Baselines: snapshots that somebody blessed, by name in the project or in a file beside the code.

The registry numbers them (``baseline/sms:3``) and moves their aliases (``baseline/sms@main``); the content lies in the
blob store under its digest and never changes. A file holds the same lines, so that a fresh checkout has its baseline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from pilothouse.core.errors import ConfigError, Conflict, NotFound
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.files import write_atomic
from pilothouse.evaluation.types import ScoredRow
from pilothouse.experiments.gates.types import Sides, Snapshot
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

KIND = "baseline"
FORMAT = 1
_SHORT = re.compile(r"[0-9]+")


class _Head(Struct, frozen=True, kw_only=True):
    """The first line: the snapshot without its rows."""

    format: int
    rows: int
    snapshot: dict[str, Any]


class _Row(Struct, frozen=True, kw_only=True):
    """One further line a row."""

    content: str
    row: ScoredRow


class Baselines:
    """Blessed snapshots of a project.

    Args:
        registry: Numbers and aliases.
        blobs: Contents.
        root: The project's folder.
    """

    def __init__(self, registry: RegistryService, blobs: BlobStore, root: Path) -> None:
        self._registry = registry
        self._blobs = blobs
        self._root = root

    def bless(self, snapshot: Snapshot, alias: str) -> Version:
        """Keep a snapshot and point an alias at it; the same snapshot is the same version again."""
        name, _, number = snapshot.experiment.rpartition(":")
        metadata = {
            "experiment": snapshot.experiment,
            "variant": snapshot.variant,
            "run": snapshot.run,
            "data": snapshot.source,
            "rows": len(snapshot.rows),
        }
        version, _ = self._registry.register(KIND, name, self._blobs.put(encode(snapshot)), metadata=metadata)
        self._registry.set_alias(KIND, name, alias, version.number)
        for source in (f"experiment/{name}:{number}", f"run/{snapshot.run}"):
            self._registry.link(source, version, "blessed_as")
        return version

    def write(self, snapshot: Snapshot, path: Path) -> None:
        """Write a snapshot to a file.

        Raises:
            StorageError: the disk is full or forbidden.
        """
        write_atomic(path, encode(snapshot))

    def get(self, ref: str, name: str) -> Snapshot:
        """Return a baseline.

        Args:
            ref: An alias or a number of the experiment's baselines, ``name@alias``, ``name:number``, or a JSON file.
            name: The experiment.

        Raises:
            NotFound: there is none.
            ConfigError: the file is no baseline.
        """
        if ref.endswith(".json"):
            return self._from_file(self._root / ref)
        full = ref if ":" in ref or "@" in ref else f"{name}:{ref}" if _SHORT.fullmatch(ref) else f"{name}@{ref}"
        try:
            version = self._registry.resolve(f"{KIND}/{full}")
        except NotFound as error:
            raise NotFound(
                f"there is no baseline '{full}'",
                expected=error.expected if "alias" in error.message or "version" in error.message else None,
                fix=f"bless a run: pilothouse experiment bless {name} --as {_alias(ref)}",
            ) from error
        return decode(self._blobs.get(version.digest), full)

    def _from_file(self, path: Path) -> Snapshot:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise NotFound(
                f"the baseline {path.name} cannot be read: {error.strerror}",
                where=str(path),
                fix=f"write it: pilothouse experiment bless NAME:NUMBER --file {path.name}",
            ) from error
        return decode(data, str(path))


def encode(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON lines, a head and one line a row; the same snapshot gives the same bytes."""
    head = msgspec.to_builtins(structs.replace(snapshot, rows=(), contents={}))
    encoder = msgspec.json.Encoder(order="deterministic")
    lines: Iterable[bytes] = (
        encoder.encode(_Head(format=FORMAT, rows=len(snapshot.rows), snapshot=head)),
        *(encoder.encode(_Row(content=snapshot.contents[row.id], row=row)) for row in snapshot.rows),
    )
    return b"\n".join(lines) + b"\n"


def decode(data: bytes, where: str) -> Snapshot:
    """Return the snapshot that `encode` wrote.

    Raises:
        ConfigError: it is not one, or not whole.
    """
    first, *rest = data.splitlines() or [b""]
    try:
        head = msgspec.json.decode(first, type=_Head)
        if head.format != FORMAT:
            raise ConfigError(f"the baseline has the format {head.format}", where=where, expected=f"format {FORMAT}")
        lines = [msgspec.json.decode(line, type=_Row) for line in rest]
        bare = msgspec.convert(head.snapshot, Snapshot)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"this is no baseline: {error}", where=where, fix="write it: pilothouse experiment bless NAME --file FILE"
        ) from error
    if len(lines) != head.rows:
        raise ConfigError(f"the baseline has {len(lines):,} of its {head.rows:,} rows", where=where)
    contents = {line.row.id: line.content for line in lines}
    return structs.replace(bare, rows=tuple(line.row for line in lines), contents=contents)


def aligned(baseline: Snapshot, candidate: Snapshot, *, common_rows: bool) -> tuple[Sides, list[str]]:
    """Return both sides over rows that may be compared, and what a reader must know of it.

    Over the same data that is every row that both have. Over other data it is refused, or, with ``common_rows``, it
    is the rows of which id, inputs and true labels are the same.

    Raises:
        Conflict: the data, or the number of repeats, are not the same.
    """
    if candidate.repeats != baseline.repeats:
        raise Conflict(
            f"the baseline {baseline.label} ran every row {baseline.repeats} times, the candidate "
            f"{candidate.repeats} times",
            fix="run with the same number of repeats, or bless a run that has it",
        )
    is_same = candidate.data == baseline.data
    theirs = baseline.contents
    common = {id_ for id_, ours in candidate.contents.items() if id_ in theirs and (is_same or theirs[id_] == ours)}
    only = [len(side.contents) - len(common) for side in (candidate, baseline)]
    left_out = f"{only[0]:,} rows of the candidate and {only[1]:,} of the baseline have no counterpart"
    if is_same:
        notes = [f"not all rows were compared: {left_out}"] if any(only) else []
    elif not common_rows:
        raise Conflict(
            f"the baseline {baseline.label} was blessed over other data",
            where=f"baseline: {baseline.source} ({baseline.data[:8]}), candidate: {candidate.source} "
            f"({candidate.data[:8]})",
            expected="the same data: a difference could come from the rows",
            fix=f"bless a run over the new data; or compare the {len(common):,} rows that both have with --common-rows",
        )
    elif not common:
        raise Conflict(
            f"the baseline {baseline.label} and the candidate have no row in common",
            expected="rows of the same id, inputs and true labels",
        )
    else:
        notes = [f"OTHER DATA: only the {len(common):,} rows that both have were compared; {left_out}"]
    # Which rows are not independent is what the experiment says now: the baseline may be older than that.
    clusters = {row.id: row.cluster for row in candidate.rows}
    return (_only(baseline, common, clusters), _only(candidate, common, clusters)), notes


def _only(side: Snapshot, ids: set[str], clusters: Mapping[str, str | None]) -> Snapshot:
    rows = (structs.replace(row, cluster=clusters.get(row.id)) for row in side.rows if row.id in ids)
    return structs.replace(side, rows=tuple(rows))


def _alias(ref: str) -> str:
    alias = ref.rpartition("@")[2]
    return alias if alias and not _SHORT.fullmatch(alias) and ":" not in alias else "main"
