"""Whole files: the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.files import write_atomic


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_new_file_has_the_content_and_missing_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "report.html"
    write_atomic(target, b"hello")
    assert target.read_bytes() == b"hello"
    assert names(target.parent) == ["report.html"]


def test_new_file_follows_the_umask_and_an_old_one_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "x"
    before = os.umask(0o027)
    try:
        write_atomic(target, b"1")
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640
    target.chmod(0o604)
    write_atomic(target, b"2")
    assert target.stat().st_mode & 0o777 == 0o604
    assert target.read_bytes() == b"2"


def test_a_very_long_name_still_finds_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    write_atomic(target, b"x")
    assert target.read_bytes() == b"x"


def test_failure_in_the_middle_leaves_the_old_content_and_no_temporary_file(tmp_path: Path, file_size_limit) -> None:
    target = tmp_path / "x"
    write_atomic(target, b"old")
    with file_size_limit(1000), pytest.raises(StorageError) as caught:
        write_atomic(target, b"n" * 5000)
    assert str(target) in str(caught.value)
    assert caught.value.fix
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_full_disk(small_disk: Path) -> None:
    target = small_disk / "x"
    write_atomic(target, b"old")
    with pytest.raises(StorageError, match="the disk is full") as caught:
        write_atomic(target, b"n" * 100_000)
    assert "free some space" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert names(small_disk) == ["x"]
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"


def test_forbidden_place(closed_folder: Path) -> None:
    with pytest.raises(StorageError, match="permission denied") as caught:
        write_atomic(closed_folder / "x", b"1")
    assert "right to write" in str(caught.value)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError, match="cannot write the file"):
        write_atomic(tmp_path / "x", b"1")
    assert names(tmp_path) == ["x"]
