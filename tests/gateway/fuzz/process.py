"""A gateway as a process of its own in front of a mock, watched from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from ..mock.upstream import MockUpstream
from ..plane.wire import ask, request
from ..threaded import in_thread

PROGRAM = ["env", "-u", "PYTHONDONTWRITEBYTECODE", sys.executable, "-c", "from pilothouse.cli.main import main; main()"]
LIMITS = [{"name": "money", "dollars": 10**6, "per": "total"}, {"name": "tokens", "tokens": 10**12}]
CONNECTIONS = {"openai": "open_ai", "anthropic": "anthropic"}
SECRET = "sk-the-upstreams-own-key"
MODEL = "mock-tokens=3"


class Process(Struct, frozen=True, kw_only=True):
    """A running gateway.

    Attributes:
        port: Where it listens.
        process: The process.
        log: What it wrote.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def rss(self) -> int:
        """Bytes in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def sane(self) -> bool:
        """Tell whether it lives and still does what it is for."""
        body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
        return self.process.poll() is None and ask(self.port, request(body=body)).status == 200

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Process]:
    """While inside, `pilothouse <words>` serves a project in a folder."""
    with in_thread(MockUpstream) as mock:
        _write_project(folder, mock.url)
        log = folder / "log.txt"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*PROGRAM, *words],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            assert process.stdout is not None
            first = process.stdout.readline().decode()
            url = next((word for word in first.split() if word.startswith("http")), "")
            assert url, log.read_text()
            yield Process(port=int(url.rpartition("/v1")[0].rpartition(":")[2]), process=process, log=log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


def _write_project(folder: Path, mock: str) -> None:
    def route(connection: str, model: str = MODEL) -> dict[str, object]:
        deployments = [{"connection": connection, "model": model}]
        return {"deployments": deployments, "retries": {"attempts": 1}}

    routes = {
        "chat": route("openai"),
        "claude": route("anthropic"),
        "html": route("openai", "mock-fault=html"),
        "guarded": {**route("openai"), "guards": ["secrets"]},
        "cached": {**route("openai"), "cache": {}},
    }
    guards = {"secrets": {"type": "redact"}}
    gateway = {"port": 0, "access": "open", "head_timeout": 5, "routes": routes, "limits": LIMITS, "guards": guards}
    prices = [{"model": MODEL, "input": 1.0, "output": 4.0}]
    (folder / "pilothouse.yaml").write_text(json.dumps({"gateway": gateway, "models": {"prices": prices}}))
    (folder / "connections").mkdir()
    for name, kind in CONNECTIONS.items():
        address = mock if kind == "anthropic" else f"{mock}/v1"
        made = {"type": kind, "base_url": address, "api_key": "${env:MOCK_KEY}"}
        (folder / "connections" / f"{name}.yaml").write_text(json.dumps(made))
    (folder / ".env").write_text(f"MOCK_KEY={SECRET}\n")
