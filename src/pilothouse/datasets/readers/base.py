"""What every reader takes and gives: a path and options in, records with their place out, one at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from msgspec import Struct

from pilothouse.core.canonical import CHUNK
from pilothouse.core.errors import DataError, NotFound
from pilothouse.core.storage.faults import disk_fault

_WIDE_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class ReadOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How files are read.

    Attributes:
        encoding: Of text files; a byte order mark at the start is taken off UTF-8.
        delimiter: Between the cells of a line; a comma in `.csv` and a tab in `.tsv` when absent.
    """

    encoding: str = "utf-8"
    delimiter: str | None = None


class Record(Struct, frozen=True):
    """One record of a file.

    Attributes:
        path: The file.
        line: Its first line in a text file, its number in a binary one, from 1.
        data: Column -> JSON value.
    """

    path: Path
    line: int
    data: dict[str, Any]

    @property
    def where(self) -> str:
        """Its place as ``file:line``."""
        return f"{self.path}:{self.line}"


Reader = Callable[[Path, ReadOptions], Iterator[Record]]
"""Yields the records of one file in order, in flat memory; raises DataError with ``file:line`` for a bad one."""


@contextmanager
def open_text(path: Path, options: ReadOptions, newline: str) -> Generator[TextIO]:
    """Open a text file for strict reading; line ends are kept as they are.

    Args:
        path: The file.
        options: The encoding.
        newline: As for :func:`open`: where lines end.

    Raises:
        NotFound: when there is no such file.
        DataError: inside the block, for bytes that are not of the encoding, with line and byte.
        StorageError: when the file cannot be read.
    """
    encoding = _known(options.encoding)
    try:
        with path.open(encoding=encoding, newline=newline) as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding) from error
    except FileNotFoundError as error:
        raise NotFound("there is no such file", where=str(path)) from error
    except OSError as error:
        raise disk_fault(error, path, "read the data") from error


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise DataError(f"there is no encoding '{encoding}'", expected="utf-8, utf-16, cp1252, latin-1, ...") from error
    return "utf-8-sig" if name == "utf-8" else name


def _undecodable(path: Path, encoding: str) -> DataError:
    """Read the file a second time, to say exactly where it stops being text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    shown = encoding.removesuffix("-sig").upper()
    offset, line, pending = 0, 1, b""
    with path.open("rb") as stream:
        start = stream.read(2)
        stream.seek(0)
        while True:
            chunk = stream.read(CHUNK)
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = offset - len(pending) + error.start
                line += (pending + chunk)[: error.start].count(b"\n")
                break
            offset += len(chunk)
            line += text.count("\n")
            if not chunk:  # the file was changed meanwhile and is whole now
                return DataError("the file changed while it was read", where=str(path), fix="read it again")
    wide = _WIDE_MARKS.get(start)
    return DataError(
        f"byte {at} of the file is not {shown}",
        where=f"{path}:{line}",
        fix=f"say what it is, for example --encoding {wide or 'cp1252'}, or save the file as UTF-8",
    )
