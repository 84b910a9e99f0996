"""Several processes behind one listening socket: started, watched, replaced when they die, drained together.

They share the socket itself: a worker that ends takes no waiting connection with it. Prometheus' figures meet in files,
one for each process.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Final

METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library `prometheus-client` lets processes meet."""

READY: Final = "ready"

_LONGEST_PAUSE: Final = 10.0


class Workers:
    """The processes of one gateway.

    Args:
        root: The project's folder.
        listener: The socket they share.
        count: How many.
        environment: Their variables.
        door: Name of the plug-in that puts further pages round the gateway; empty for none.
        drain: Seconds that calls in flight are given at the end.
        announce: Called when all of them take calls.
    """

    def __init__(
        self,
        root: Path,
        listener: socket.socket,
        count: int,
        environment: Mapping[str, str],
        *,
        door: str,
        drain: float,
        announce: Callable[[], None],
    ) -> None:
        self._root = root
        self._listener = listener
        self._count = count
        self._environment = environment
        self._door = door
        self._drain = drain
        self._announce = announce
        self._running: dict[subprocess.Popen[bytes], float] = {}
        self._ending = 0
        self._cut = 0
        self._alive = -1

    def run(self) -> int:
        """Serve until a signal ends it; return how many calls were cut.

        Raises:
            subprocess.SubprocessError: when a process cannot be started at all.
        """
        folder = Path(tempfile.mkdtemp(prefix="pilothouse-metrics-"))
        # Nothing is ever written: that it ends tells a worker that this process is gone, however it went.
        self._alive, held = os.pipe()
        try:
            with _signals(self._signalled):
                return self._run(folder)
        finally:
            os.close(self._alive)
            os.close(held)
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, folder: Path) -> int:
        pause, announced = 0.1, False
        while True:
            while not self._ending and len(self._running) < self._count:
                self._start(folder)
            if self._ending:
                # Else clients would be let in by the one copy of the socket that nobody serves, and wait there.
                self._listener.close()
            announced = announced or self._announced(folder)
            time.sleep(0.05)
            for process, begun in list(self._running.items()):
                if process.poll() is None:
                    continue
                del self._running[process]
                if self._ending:
                    self._cut += max(process.returncode, 0)
                    continue
                if not announced:
                    self._end(signal.SIGTERM)
                    raise SystemExit(process.returncode or 1)
                sys.stderr.write(f"a worker died (code {process.returncode}); another one takes its place\n")
                pause = 0.1 if time.monotonic() - begun > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
                time.sleep(pause)
            if self._ending and not self._running:
                return self._cut

    def _start(self, folder: Path) -> None:
        command = [sys.executable, "-m", "pilothouse.gateway.serving.worker"]
        arguments = [
            str(self._root),
            str(self._listener.fileno()),
            str(folder),
            self._door,
            str(self._drain),
            str(self._alive),
        ]
        process = subprocess.Popen(
            [*command, *arguments],
            pass_fds=(self._listener.fileno(), self._alive),
            env={**self._environment, METRICS_FOLDER: str(folder)},
            start_new_session=True,
        )
        self._running[process] = time.monotonic()

    def _announced(self, folder: Path) -> bool:
        if len(list(folder.glob(f"*.{READY}"))) < self._count:
            return False
        self._announce()
        return True

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._end(signal.SIGHUP)
            return
        self._ending += 1
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        for process in self._running:
            if process.poll() is None:
                os.kill(process.pid, number)


class _signals:  # noqa: N801  a context manager reads as a verb
    """Hands signals on while it lasts."""

    _numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, handle: Callable[[int, FrameType | None], None]) -> None:
        self._handle = handle

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._handle) for number in self._numbers}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
