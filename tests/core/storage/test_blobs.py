"""Blobs: found again by their hash, written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pilothouse.core.errors import DataError, NotFound, StorageError
from pilothouse.core.storage.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"hello", bytes(range(256)) * 20_000])
def test_bytes_come_back_under_their_hash(blobs: BlobStore, data: bytes) -> None:
    digest = blobs.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert blobs.has(digest)
    assert blobs.get(digest) == blobs.path(digest).read_bytes() == data


def test_equal_content_is_stored_once_however_it_arrives(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"same" * 1_000_000)
    assert blobs.put_file(source) == blobs.put(b"same" * 1_000_000) == blobs.put_file(source)
    assert len(files_of(tmp_path / "blobs")) == 1
    assert source.exists()


def test_blobs_are_private(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"two")
    for digest in (blobs.put(b"one"), blobs.put_file(source)):
        assert blobs.path(digest).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


def test_a_missing_blob(blobs: BlobStore) -> None:
    digest = "a" * 64
    assert not blobs.has(digest)
    with pytest.raises(NotFound, match=digest):
        blobs.get(digest)


def test_changed_content_is_noticed(blobs: BlobStore) -> None:
    digest = blobs.put(b"truth")
    blobs.path(digest).write_bytes(b"lies!")
    with pytest.raises(StorageError, match="was changed") as caught:
        blobs.get(digest)
    assert str(blobs.path(digest)) in str(caught.value)


@pytest.mark.parametrize("hostile", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "g" * 64, "/" * 64])
def test_what_is_no_digest_is_refused(blobs: BlobStore, hostile: str) -> None:
    for verb in (blobs.get, blobs.has, blobs.path):
        with pytest.raises(DataError, match="is not a digest"):
            verb(hostile)


def test_a_file_that_cannot_be_read(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot store the file"):
        blobs.put_file(tmp_path / "nowhere")
    assert files_of(tmp_path / "blobs") == []


def test_full_disk_leaves_nothing_behind(blobs: BlobStore, tmp_path: Path, file_size_limit) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    with file_size_limit(5000):
        for attempt in (lambda: blobs.put(b"x" * 100_000), lambda: blobs.put_file(source)):
            with pytest.raises(StorageError, match="may not grow"):
                attempt()
    assert files_of(tmp_path / "blobs") == []
    assert blobs.put(b"x" * 100_000) == blobs.put_file(source)
