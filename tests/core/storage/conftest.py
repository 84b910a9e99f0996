"""Disks that are full, for real."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

FileSizeLimit = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
def file_size_limit() -> FileSizeLimit:
    """Return a context in which no file of this process may grow past so many bytes (EFBIG, after a short write)."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB (16 pages)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a full disk needs the right to mount one: {done.stderr.strip()}; EFBIG and /dev/full stand in")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that we may not write to: root becomes somebody else for the length of the test."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield folder
        return
    os.seteuid(65534)
    yield folder
    os.seteuid(0)
