"""What can be done with datasets: open, add, list, compare."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.faults import disk_fault
from pilothouse.datasets.composite import PREFIX as SEVERAL
from pilothouse.datasets.composite import CompositeSource, parts_of
from pilothouse.datasets.diff import diff
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.profile import Profiler
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.store import KIND, DatasetStore
from pilothouse.datasets.types import DatasetDiff, DatasetVersion, Profile, Serves
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import check_name

PREFIX = f"{KIND}:"

_EVERY = 1000


class DatasetService:
    """Datasets of a project: files as they are, and registered versions of them.

    Args:
        store: Keeps the versions.
        root: The project's folder, from which paths are counted.
        state: A folder for temporary files.
    """

    def __init__(self, store: DatasetStore, root: Path, state: Path) -> None:
        self._store = store
        self._root = root
        self._state = state

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the datasets of a project."""
        store = DatasetStore(services.get(RegistryService), services.get(BlobStore))
        return cls(store, services.root, services.state)

    def open(self, source: str, *, id_column: str | None = None, options: ReadOptions | None = None) -> DatasetSource:
        """Return rows that can be streamed; nothing is read yet.

        Args:
            source: A file or folder, from the project's folder, or ``dataset:name``, ``dataset:name:3``,
                ``dataset:name@alias``; or several, as `composite.text_of` writes them.
            id_column: The column that names the rows of files; a version has its own.
            options: How files are read.

        Raises:
            NotFound: when there is no such file, folder or version.
            DataError: for a file that nothing reads.
            UserError: for a reference that cannot be one.
        """
        if source.startswith(PREFIX):
            return self._version(self._store.find(source.removeprefix(PREFIX)))
        if source.startswith(SEVERAL):
            parts = parts_of(source)
            opened = {name: (part, self.open(part.data, id_column=part.id_column)) for name, part in parts.items()}
            return CompositeSource(source, opened)
        return self._files(source, id_column, options or ReadOptions())

    def find(self, text: str, *, id_column: str | None = None, options: ReadOptions | None = None) -> DatasetSource:
        """Return what a person means: as :meth:`open`, and ``name`` or ``dataset/name:3`` for a version.

        Raises:
            NotFound: when it is neither a file nor a version.
        """
        if text.startswith(PREFIX) or (self._root / text).exists():
            return self.open(text, id_column=id_column, options=options)
        known = [version.name for version in self._store.latest()]
        reference = text.removeprefix(f"{KIND}/")
        if re.split("[:@#]", reference)[0] not in known:
            raise NotFound(f"there is no file and no dataset '{text}'", expected=nearest_hint(reference, known))
        return self._version(self._store.find(reference))

    def add(
        self,
        name: str,
        path: str,
        *,
        id_column: str | None = None,
        licence: str | None = None,
        source: str | None = None,
        options: ReadOptions | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[DatasetVersion, bool]:
        """Keep the rows of files as a version of a dataset; the same rows again make no new one.

        Args:
            name: The dataset.
            path: A file or folder, from the project's folder.
            id_column: The column that names the rows; their place does, when absent.
            licence: Under which terms they may be used.
            source: Where they came from; the path when absent.
            options: How the files are read.
            progress: Told the rows read so far, now and then.

        Returns:
            The version, and whether it is new. A version that was there keeps its licence and source.

        Raises:
            NotFound: when there is no such file or folder.
            DataError: for the first row that cannot be accepted, with file and line; nothing is kept then.
            StorageError: when the disk is full.
        """
        check_name(KIND, name)
        opened = self._files(path, id_column, options or ReadOptions())
        with tempfile.TemporaryDirectory(prefix="dataset-", dir=self._state) as folder:
            lines = Path(folder) / "rows.jsonl"
            profile = _write_lines(opened, lines, progress)
            return self._store.save(
                name,
                lines,
                profile,
                source=source or self._shown(self._root / path),
                licence=licence,
                id_column=id_column,
            )

    def list(self) -> tuple[DatasetVersion, ...]:
        """Return the latest version of every dataset, by name."""
        return self._store.latest()

    def versions(self, name: str) -> tuple[DatasetVersion, ...]:
        """Return all versions of one dataset, the oldest first.

        Raises:
            NotFound: when there is no such dataset.
        """
        return self._store.versions(name)

    def show(self, ref: str) -> DatasetVersion:
        """Return the facts of a version: ``name``, ``name:3``, ``name@alias``, each also after ``dataset:``.

        Raises:
            NotFound: when there is no such version.
        """
        return self._store.find(ref.removeprefix(PREFIX).removeprefix(f"{KIND}/"))

    def serves(self, version: DatasetVersion) -> Serves:
        """Return which flows, experiments and evaluators a version serves (`registry lineage`: the way)."""
        return self._store.serves(version)

    def diff(self, before: str, after: str, *, id_column: str | None = None) -> DatasetDiff:
        """Compare two datasets, each a file, a folder or a version.

        Rows of the same id are compared where both name their rows by the same column; else only equal rows match.

        Args:
            before: The first.
            after: The second.
            id_column: The column that names the rows of files; that of the version they are compared with, when absent.
        """
        left = self.find(before, id_column=id_column)
        right = self.find(after, id_column=id_column or left.id_column)
        if left.id_column is None and right.id_column is not None:
            left = self.find(before, id_column=right.id_column)
        return diff(left, right)

    def _version(self, version: DatasetVersion) -> DatasetSource:
        return DatasetSource(
            version.name,
            lambda: self._store.records(version),
            origin=version.ref,
            version=version,
            id_column=version.id_column,
        )

    def _files(self, path: str, id_column: str | None, options: ReadOptions) -> DatasetSource:
        full = self._root / Path(path).expanduser()
        files = find_files(full)
        return DatasetSource(
            full.stem if full.is_file() else full.resolve().name,
            lambda: read_files(files, options),
            origin=self._shown(full),
            id_column=id_column,
            skipped=files.skipped,
        )

    def _shown(self, path: Path) -> str:
        full, root = path.resolve(), self._root.resolve()
        return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)


def _write_lines(source: DatasetSource, target: Path, progress: Callable[[int], object] | None) -> Profile:
    profiler = Profiler()
    try:
        with target.open("wb") as sink:
            for row in source:
                sink.write(profiler.add(row.data))
                if progress is not None and (row.number + 1) % _EVERY == 0:
                    progress(row.number + 1)
    except OSError as error:
        raise disk_fault(error, target, "keep the rows") from error
    return profiler.profile()
