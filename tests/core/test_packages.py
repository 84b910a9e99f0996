"""The verified fetch, with the environment's real pip, real wheels and a loopback index; no network."""

import base64
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from pilothouse.core import packages
from pilothouse.core.canonical import digest_bytes
from pilothouse.core.environment import Environment
from pilothouse.core.errors import DataError, Interrupted, NotFound, StorageError, UserError
from pilothouse.core.packages import PackageFile, fetch_package_file, is_fetched, user_cache

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MEMBER = "tinydata/data.bin"
NAME = "tinydata-1.0-py3-none-any.whl"


def build_wheel(folder: Path, content: bytes = CONTENT, member: str = MEMBER) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        member: content,
        "tinydata-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n",
        "tinydata-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for name, data in files.items()
    )
    wheel = folder / NAME
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("tinydata-1.0.dist-info/RECORD", record)
    return wheel


def offer_wheel(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


def wanted(wheel: Path, **changes: object) -> PackageFile:
    fields: dict[str, object] = {
        "requirement": "tinydata==1.0",
        "wheel_sha256": digest_bytes(wheel.read_bytes()),
        "member": MEMBER,
        "sha256": digest_bytes(CONTENT),
        "size": len(CONTENT),
        "wheel_size": wheel.stat().st_size,
    }
    return PackageFile(**(fields | changes))  # type: ignore[arg-type]


def left_behind(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.name != f".{target.name}.lock")


@pytest.fixture(autouse=True)
def only_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip sees no settings but those of the test."""
    for name in Environment.load(tmp_path):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = build_wheel(tmp_path / "wheels")
    offer_wheel(made, monkeypatch)
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "deep" / "data.bin"


class LoopbackIndex:
    """A package index on the loopback interface that can stop in the middle of a wheel."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.downloads = 0
        self.half_sent = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if not request.path.endswith(".whl"):
            body = f'<!DOCTYPE html><a href="/{NAME}">{NAME}</a>'.encode()
            self._head(request, "text/html", len(body))
            request.wfile.write(body)
            return
        body = self.wheel.read_bytes()
        self.downloads += 1
        self._head(request, "application/octet-stream", len(body))
        request.wfile.write(body[: len(body) // 2])
        request.wfile.flush()
        self.half_sent.set()
        assert self.go_on.wait(60)
        try:
            request.wfile.write(body[len(body) // 2 :])
        except OSError:
            request.close_connection = True  # the test killed the reader

    @staticmethod
    def _head(request: http.server.BaseHTTPRequestHandler, kind: str, length: int) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(length))
        request.end_headers()

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackIndex]:
    made = LoopbackIndex(build_wheel(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    yield made
    made.close()


def start_fetch(item: PackageFile, target: Path) -> "subprocess.Popen[str]":
    """Fetch in another process that says how it ended."""
    program = (
        "import sys, msgspec\n"
        "from pathlib import Path\n"
        "from pilothouse.core.errors import PilothouseError\n"
        "from pilothouse.core.packages import PackageFile, fetch_package_file\n"
        "item = msgspec.json.decode(sys.argv[1], type=PackageFile)\n"
        "try:\n"
        "    fetch_package_file(item, Path(sys.argv[2]))\n"
        "except PilothouseError as error:\n"
        "    print(type(error).__name__, error)\n"
        "    sys.exit(error.exit_code)\n"
        "print('fetched')\n"
    )
    arguments = [sys.executable, "-c", program, _json(item), str(target)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _json(item: PackageFile) -> str:
    return msgspec.json.encode(item).decode()


def test_the_member_arrives_and_nothing_else(wheel: Path, target: Path) -> None:
    item = wanted(wheel)
    seen: list[tuple[int, int | None]] = []

    assert fetch_package_file(item, target, lambda arrived, total: seen.append((arrived, total))) == target

    assert target.read_bytes() == CONTENT
    assert left_behind(target) == ["data.bin"]
    assert seen[-1] == (item.wheel_size, item.wheel_size)
    assert [arrived for arrived, _ in seen] == sorted(arrived for arrived, _ in seen)


def test_what_is_there_is_not_fetched_again(wheel: Path, target: Path) -> None:
    item = wanted(wheel)
    fetch_package_file(item, target)
    wheel.unlink()

    assert fetch_package_file(item, target).read_bytes() == CONTENT


def test_a_damaged_file_of_the_same_size_is_replaced(wheel: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(bytes(len(CONTENT)))
    item = wanted(wheel)
    assert not is_fetched(item, target)

    fetch_package_file(item, target)

    assert is_fetched(item, target)


def test_a_tampered_wheel_is_refused(wheel: Path, target: Path) -> None:
    item = wanted(wheel)
    build_wheel(wheel.parent, content=b"evil" + CONTENT[4:])

    with pytest.raises(DataError, match="another SHA-256") as caught:
        fetch_package_file(item, target)

    assert item.wheel_sha256 in str(caught.value)
    assert left_behind(target) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"size": len(CONTENT) + 1}, "bytes"),
        ({"size": len(CONTENT) - 1}, "too big"),
        ({"member": "tinydata/absent.bin"}, "no file"),
    ],
)
def test_a_member_that_is_not_the_expected_one_is_refused(
    wheel: Path, target: Path, changes: dict[str, object], said: str
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"what was there before")

    with pytest.raises(DataError, match=said):
        fetch_package_file(wanted(wheel, **changes), target)

    assert target.read_bytes() == b"what was there before"
    assert left_behind(target) == ["data.bin"]


def test_a_member_that_was_damaged_inside_the_wheel(wheel: Path, target: Path) -> None:
    data = bytearray(wheel.read_bytes())
    data[data.index(CONTENT[:256]) + 1000] ^= 1
    wheel.write_bytes(data)

    with pytest.raises(DataError, match="damaged"):
        fetch_package_file(wanted(wheel), target)
    assert left_behind(target) == []


def test_a_name_that_climbs_out_of_the_archive_goes_nowhere(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(tmp_path / "wheels", member="../../../climbed.bin")
    offer_wheel(wheel, monkeypatch)

    fetch_package_file(wanted(wheel, member="../../../climbed.bin"), target)

    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.rglob("climbed.bin")] == []


def test_a_version_the_index_does_not_have(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Looked at all the time, so that folders vanish under the one who looks.
    monkeypatch.setattr("pilothouse.core.packages.POLL", 0.0003)
    with pytest.raises(NotFound, match=r"no wheel of tinydata==2\.0"):
        fetch_package_file(wanted(wheel, requirement="tinydata==2.0"), target)
    assert left_behind(target) == []


def test_an_index_that_cannot_be_reached(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://name:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")

    with pytest.raises(UserError, match="cannot be reached") as caught:
        fetch_package_file(wanted(wheel), target)

    assert "127.0.0.1" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.fix
    assert left_behind(target) == []


def test_an_environment_without_pip(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(UserError, match="no pip") as caught:
        fetch_package_file(wanted(wheel), target)

    assert "ensurepip" in str(caught.value.fix)
    assert left_behind(target) == []


@pytest.fixture
def failing_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a pip before the real one that says something and fails."""

    def install(says: str) -> None:
        package = tmp_path / "stand-in" / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(f"print({says!r})\nraise SystemExit(1)\n")
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return install


def test_a_disk_that_fills_up_under_pip(wheel: Path, target: Path, failing_pip: Callable[[str], None]) -> None:
    failing_pip("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device")

    with pytest.raises(StorageError, match="full"):
        fetch_package_file(wanted(wheel), target)
    assert left_behind(target) == []


def test_a_disk_that_fills_up_under_us(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageError, match="disk is full") as caught:
        fetch_package_file(wanted(wheel), target)
    assert caught.value.where == str(target)
    assert left_behind(target) == []


def test_an_unwritable_place(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(StorageError):
        fetch_package_file(wanted(wheel), tmp_path / "file" / "data.bin")


def test_other_reasons_of_pip_are_told_without_addresses(
    wheel: Path, target: Path, failing_pip: Callable[[str], None]
) -> None:
    failing_pip("ERROR: HTTP error 403 while getting https://me:secret@index.invalid/tinydata")

    with pytest.raises(UserError, match="403") as caught:
        fetch_package_file(wanted(wheel), target)
    assert "secret" not in str(caught.value)


def test_two_processes_at_once_download_once(index: LoopbackIndex, target: Path) -> None:
    item = wanted(index.wheel)
    index.go_on.clear()
    first = start_fetch(item, target)
    assert index.half_sent.wait(60)
    second = start_fetch(item, target)
    index.go_on.set()

    said = [first.communicate(timeout=120)[0], second.communicate(timeout=120)[0]]

    assert said == ["fetched\n", "fetched\n"]
    assert index.downloads == 1
    assert target.read_bytes() == CONTENT
    assert left_behind(target) == ["data.bin"]


def test_ctrl_c_leaves_nothing_half_written(index: LoopbackIndex, target: Path) -> None:
    index.go_on.clear()
    fetching = start_fetch(wanted(index.wheel), target)
    assert index.half_sent.wait(60)

    fetching.send_signal(signal.SIGINT)
    said, _ = fetching.communicate(timeout=60)

    assert fetching.returncode == Interrupted.exit_code
    assert said.startswith("Interrupted")
    assert "Traceback" not in said
    assert left_behind(target) == []


def test_the_next_fetch_cleans_up_after_kill_9(index: LoopbackIndex, target: Path) -> None:
    item = wanted(index.wheel)
    index.go_on.clear()
    fetching = start_fetch(item, target)
    assert index.half_sent.wait(60)
    fetching.kill()
    fetching.communicate(timeout=60)
    assert left_behind(target) == [".data.bin.fetch"]
    index.go_on.set()

    fetch_package_file(item, target)

    assert left_behind(target) == ["data.bin"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ({"PILOTHOUSE_CACHE": "/cache", "XDG_CACHE_HOME": "/xdg"}, Path("/cache")),
        ({"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/pilothouse")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "pilothouse"),
        ({}, Path.home() / ".cache" / "pilothouse"),
    ],
)
def test_what_was_fetched_is_kept_for_the_user(names: dict[str, str], folder: Path) -> None:
    assert user_cache(Environment(names)) == folder
