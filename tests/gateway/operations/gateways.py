"""A real gateway of a project in a folder, and real clients, each in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.core import plugins
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import LedgerCall

from .client import Outcome, Spec

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-c", "from pilothouse.cli.main import main; main()"]
TOKENS = 40
ROUTES = {"paced": f"mock-in=10-tokens={TOKENS}-pace=10", "quick": "mock-in=10-tokens=4-first=5"}


def settings(**gateway: Any) -> dict[str, Any]:
    """Return a project's settings: routes of two deployments each, of which the first has all the weight."""
    models = {(route, name): f"{told}-key={name}" for route, told in ROUTES.items() for name in ("first", "second")}
    routes = {
        route: {
            "deployments": [
                {"connection": "mock", "model": models[route, name], "name": f"{route}-{name}", "weight": weight}
                for name, weight in (("first", 1), ("second", 0))
            ]
        }
        for route in ROUTES
    }
    prices = [{"model": model, "input": 1.0, "output": 4.0} for model in models.values()]
    return {"gateway": {"port": 0, "access": "keys", "routes": routes, **gateway}, "models": {"prices": prices}}


def write_project(folder: Path, mock: str, content: Mapping[str, Any]) -> None:
    """Write a project whose one connection is the mock."""
    (folder / "pilothouse.yaml").write_text(json.dumps(content))
    (folder / "connections").mkdir()
    connection = {"type": "open_ai", "base_url": f"{mock}/v1", "api_key": "${env:MOCK_KEY}"}
    (folder / "connections" / "mock.yaml").write_text(json.dumps(connection))
    (folder / ".env").write_text("MOCK_KEY=sk-upstream\n")


async def on_project(folder: Path, action: Callable[[Any], Any]) -> None:
    """Do something to a project from beside its gateway."""

    def act() -> None:
        with plugins.load("workspaces", "project")(folder) as project:
            action(project)

    await asyncio.to_thread(act)


def make_keys(folder: Path, *names: str) -> dict[str, str]:
    """Return the secrets of new keys."""
    with plugins.load("workspaces", "project")(folder) as project:
        return {name: project.get(KeyService).create(KeyDraft(name=name)).secret.reveal() for name in names}


def ledger(folder: Path) -> list[LedgerCall]:
    """Return every call that is in the ledger."""
    with plugins.load("workspaces", "project")(folder) as project:
        found, after = list[LedgerCall](), None
        while True:
            page = project.get(LedgerService).calls(limit=1000, after=after)
            found += page.calls
            after = page.after
            if after is None:
                return found


class Running:
    """A gateway that serves.

    Attributes:
        url: Its address, without `/v1`.
        said: What it wrote to standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str, folder: Path) -> None:
        self.process = process
        self.url = url
        self.said = ""
        self._folder = folder
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.said += line.decode()

    async def heard(self, words: str, times: int = 1) -> None:
        """Wait until it has said something so often."""
        await until(lambda: self.said.count(words) >= times, lambda: f"{words!r} in {self.said!r}")

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """Return what readiness says; status 0 for nothing."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.status, await answer.json()
        except aiohttp.ClientError:
            return 0, {}

    async def readiness(self, status: int, /, **said: Any) -> float:
        """Wait until readiness has a status and says so; return the seconds that took."""
        begun, found = time.monotonic(), (0, dict[str, Any]())

        async def there() -> bool:
            nonlocal found
            found = await self.ready()
            return found[0] == status and all(found[1].get(name) == value for name, value in said.items())

        while not await there():
            assert time.monotonic() - begun < 30, f"readiness is {found}, not {status} {said}; it said {self.said}"
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def command(self, *words: str) -> None:
        """Run a command of `pilothouse gateway` on the project, as an operator does beside it."""
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "gateway", *words, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    def write(self, content: Mapping[str, Any] | str) -> None:
        """Write another `pilothouse.yaml`."""
        text = content if isinstance(content, str) else json.dumps(content)
        (self._folder / "pilothouse.yaml").write_text(text)

    def children(self) -> list[int]:
        """Return its worker processes."""
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(self.process.pid):
                        found.append(int(entry.name))
        return found

    async def failed(self) -> str:
        """Return what it said before it ended."""
        await self._listening
        return self.said

    async def end(self, number: int = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        code = await self.process.wait()
        await self._listening
        return code


async def until(holds: Any, what: Any, seconds: float = 30.0) -> None:
    """Wait for something that must become true."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"this did not come: {what()}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(folder: Path, *options: str) -> AsyncIterator[Running]:
    """While inside, a gateway serves a project; nothing of it is left afterwards."""
    # Where nothing compiled may be kept, each start would compile everything.
    process = await asyncio.create_subprocess_exec(
        "env", "-u", "PYTHONDONTWRITEBYTECODE", *PROGRAM, "gateway", "serve", *options,
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().split()
    url = next((word for word in line if word.startswith("http")), "").removesuffix("/v1")
    running = Running(process, url, folder)
    try:
        assert url, f"it did not begin: {await running.failed()}"
        yield running
    finally:
        for child in running.children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Asking:
    """Clients that ask."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def outcomes(self) -> list[Outcome]:
        """Return what every call got, when all clients have gone home."""
        assert self._process.stdout is not None
        return msgspec.json.decode(await self._process.stdout.read(), type=list[Outcome])

    async def tell_leaving(self) -> None:
        """Tell that the gateway will end."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"leaving\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def asking(spec: Spec) -> AsyncIterator[Asking]:
    """While inside, clients ask."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.gateway.operations.client",
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, limit=1 << 26,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(spec) + b"\n")
        yield Asking(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
