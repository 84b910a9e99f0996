"""Data files: which reader reads which, and a folder as its files one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from msgspec import Struct

from pilothouse.core import plugins
from pilothouse.core.errors import DataError, NotFound, nearest_hint
from pilothouse.datasets.readers.base import Reader, ReadOptions, Record

READERS = "dataset_readers"
"""The group of plug-ins: suffix without its dot -> reader."""


class DataFiles(Struct, frozen=True, kw_only=True):
    """The files that a path stands for.

    Attributes:
        files: In the order in which their rows follow one another.
        skipped: Files of a folder that nothing reads; hidden ones are not counted.
    """

    files: tuple[Path, ...]
    skipped: tuple[Path, ...] = ()


def find_files(path: Path) -> DataFiles:
    """Return the data files at ``path``: itself, or all below a folder, sorted by their paths.

    Raises:
        NotFound: when nothing is there; names what is near.
        DataError: for a file nothing reads, or a folder without data files.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotFound("there is no such file or folder", where=str(path), expected=nearest_hint(path.name, beside))
    if _suffix(path) not in plugins.names(READERS):
        raise DataError(f"nothing reads files that end in '{path.suffix}'", where=str(path), expected=_known())
    return DataFiles(files=(path,))


def read_files(files: DataFiles, options: ReadOptions) -> Iterator[Record]:
    """Yield the records of all files in order.

    Raises:
        DataError: for the first record that cannot be accepted, with file and line.
    """
    for path in files.files:
        reader = cast("Reader", plugins.load(READERS, _suffix(path)))
        yield from reader(path, options)


def _folder(path: Path) -> DataFiles:
    names = plugins.names(READERS)
    found = [
        file
        for file in sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix())
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    files = tuple(file for file in found if _suffix(file) in names)
    if not files:
        raise DataError("the folder holds no data files", where=str(path), expected=_known())
    return DataFiles(files=files, skipped=tuple(file for file in found if _suffix(file) not in names))


def _suffix(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()


def _known() -> str:
    return ", ".join(f".{name}" for name in plugins.names(READERS))
