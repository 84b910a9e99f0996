"""Where versions of datasets are kept: their facts in the registry, their rows as one blob of JSON lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pilothouse.core.errors import NotFound, StorageError, nearest_hint
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.faults import disk_fault
from pilothouse.datasets.profile import identity
from pilothouse.datasets.readers.base import Record
from pilothouse.datasets.types import Column, DatasetVersion, Profile, Serves
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

KIND = "dataset"

_MOST_RUNS = 1000
"""Runs whose flows are looked up."""

_decode = msgspec.json.Decoder(dict).decode


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry remembers of a version; not part of its identity."""

    rows: int
    columns: tuple[Column, ...]
    source: str
    blob: str
    licence: str | None = None
    id_column: str | None = None


class DatasetStore:
    """Versions of datasets and their rows."""

    def __init__(self, registry: RegistryService, blobs: BlobStore) -> None:
        self._registry = registry
        self._blobs = blobs

    def save(
        self, name: str, lines: Path, profile: Profile, *, source: str, licence: str | None, id_column: str | None
    ) -> tuple[DatasetVersion, bool]:
        """Keep the canonical lines in a file as a version; content that is known keeps the version it has.

        Args:
            name: The dataset.
            lines: The file.
            profile: What the lines hold.
            source: Where the rows came from.
            licence: Under which terms they may be used.
            id_column: The column that names the rows.

        Returns:
            The version, and whether it is new.

        Raises:
            StorageError: when the disk is full or forbidden, or the file is not what was profiled.
        """
        blob = self._blobs.put_file(lines)
        if blob != profile.digest:
            raise StorageError("the rows changed while they were stored", where=str(lines), fix="add them again")
        facts = _Facts(
            rows=profile.rows, columns=profile.columns, source=source, blob=blob, licence=licence, id_column=id_column
        )
        metadata = msgspec.to_builtins(facts)
        version, is_new = self._registry.register(KIND, name, identity(blob, id_column), metadata=metadata)
        return _noun(version), is_new

    def find(self, rest: str) -> DatasetVersion:
        """Return the version that ``name``, ``name:3``, ``name@alias`` or ``name#<start of the digest>`` means.

        Raises:
            NotFound: naming what is there instead.
            UserError: for a text that is no reference.
        """
        try:
            return _noun(self._registry.resolve(f"{KIND}/{rest}"))
        except NotFound:
            name = re.split("[:@#]", rest)[0]
            known = [version.name for version in self.latest()]
            if name in known:
                raise
            # The registry's hint may name another kind, which is no dataset.
            raise NotFound(
                f"there is no dataset '{name}'",
                expected=nearest_hint(name, known),
                fix=f"pilothouse dataset add {name} FILE",
            ) from None

    def latest(self) -> tuple[DatasetVersion, ...]:
        """Return the latest version of every dataset, by name."""
        try:
            return tuple(_noun(version) for version in self._registry.list(KIND))
        except NotFound:  # other kinds are registered, no dataset yet
            return ()

    def versions(self, name: str) -> tuple[DatasetVersion, ...]:
        """Return all versions of one dataset, the oldest first.

        Raises:
            NotFound: when there is no such dataset.
        """
        return tuple(_noun(version) for version in self._registry.versions(KIND, name))

    def serves(self, version: DatasetVersion) -> Serves:
        """Return what the lineage says that a version serves."""
        reached = {edge.target for edge in self._registry.lineage(_registered(version), "down")}
        runs, experiments = (sorted(ref for ref in reached if ref.startswith(kind)) for kind in ("run/", "experiment/"))
        above = [
            *(edge for ref in runs[:_MOST_RUNS] for edge in self._registry.lineage(ref, "up", depth=1)),
            *(edge for ref in experiments for edge in self._registry.lineage(ref, "up", depth=1)),
        ]
        parts = {edge.source for edge in above}
        return Serves(
            flows=tuple(sorted(ref for ref in parts if ref.startswith("flow/"))),
            experiments=tuple(experiments),
            evaluators=tuple(sorted(ref for ref in parts if ref.startswith("evaluator/"))),
            runs=len(runs),
        )

    def records(self, version: DatasetVersion) -> Iterator[Record]:
        """Yield the rows of a version as they were added, one in memory at a time.

        Raises:
            StorageError: when the blob is gone, or at its end, when its content was changed.
        """
        path = self._blobs.path(version.blob)
        sha256 = hashlib.sha256()
        try:
            with path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    sha256.update(line)
                    yield Record(path, number, _decode(line))
        except OSError as error:
            raise disk_fault(error, path, f"read the rows of {version.ref}") from error
        except msgspec.DecodeError as error:
            raise _changed(version, path) from error
        if sha256.hexdigest() != version.blob:
            raise _changed(version, path)


def _changed(version: DatasetVersion, path: Path) -> StorageError:
    return StorageError(
        f"the stored rows of {version.ref} were changed", where=str(path), fix="restore the file, or add the data again"
    )


def _noun(version: Version) -> DatasetVersion:
    facts = msgspec.convert(version.metadata, _Facts)
    return DatasetVersion(
        name=version.name,
        number=version.number,
        digest=version.digest,
        created_at=version.created_at,
        rows=facts.rows,
        columns=facts.columns,
        source=facts.source,
        licence=facts.licence,
        id_column=facts.id_column,
        blob=facts.blob,
    )


def _registered(version: DatasetVersion) -> str:
    return f"{KIND}/{version.name}:{version.number}"
