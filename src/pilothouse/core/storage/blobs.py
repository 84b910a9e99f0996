"""Blobs: bytes that are found again by the hash of their content."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from pilothouse.core.canonical import CHUNK, digest_bytes
from pilothouse.core.errors import DataError, NotFound, StorageError
from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import sync_file, sync_folder, write_atomic

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Bytes under their SHA-256, in a local folder that its owner alone may read.

    Equal content is stored once. A blob is written whole or not at all, and never changed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its SHA-256 in hexadecimal.

        Raises:
            StorageError: when the disk is full or forbidden.
        """
        digest = digest_bytes(data)
        target = self.path(digest)
        if not target.exists():
            self._prepare(target)
            write_atomic(target, data, mode=0o600)
        return digest

    def put_file(self, path: Path) -> str:
        """Store the content of a file, with flat memory, and return its SHA-256 in hexadecimal.

        Raises:
            StorageError: when the file cannot be read, or the disk is full or forbidden.
        """
        temporary = self._root / f".{secrets.token_hex(8)}.tmp"
        self._prepare(temporary)
        try:
            try:
                digest = _copy(path, temporary)
                target = self.path(digest)
                if not target.exists():
                    self._prepare(target)
                    temporary.replace(target)
                    sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise disk_fault(error, path, "store the file") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes of a blob, after checking that they still have this digest.

        Raises:
            NotFound: when there is no such blob.
            StorageError: when it cannot be read, or its content was changed.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no blob {digest}", where=str(self._root)) from error
        except OSError as error:
            raise disk_fault(error, path, "read the blob") from error
        if digest_bytes(data) != digest:
            raise StorageError("the content of a blob was changed", where=str(path), fix="restore it from a backup")
        return data

    def path(self, digest: str) -> Path:
        """Return where the blob lies or would lie.

        Raises:
            DataError: when ``digest`` is not 64 hexadecimal digits in lower case.
        """
        if not _DIGEST.fullmatch(digest):
            raise DataError(f"{digest[:80]!r} is not a digest", expected="64 hexadecimal digits in lower case")
        return self._root / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Return whether the blob is here."""
        return self.path(digest).is_file()

    def _prepare(self, target: Path) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise disk_fault(error, target.parent, "make the folder") from error


def _copy(source: Path, target: Path) -> str:
    """Copy a file durably and return the SHA-256 of what was copied."""
    sha256 = hashlib.sha256()
    with source.open("rb") as incoming, target.open("xb") as outgoing:
        target.chmod(0o600)
        while chunk := incoming.read(CHUNK):
            sha256.update(chunk)
            outgoing.write(chunk)
        sync_file(outgoing)
    return sha256.hexdigest()
