"""A project with keys, budgets and a gateway of several processes over it, and what it says of itself afterwards."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.core import plugins
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.limiting import shared_name
from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import LimitState
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import LedgerEntry

MODEL = "priced"
MAIN = "from pilothouse.cli.main import main; main()"
QUICK = """
import functools, pilothouse.gateway.limiting as limiting
limiting.SharedState = functools.partial(limiting.SharedState, lease=2.0, gather=0.4)
"""
"""Before `MAIN`: workers that are missed after two seconds instead of twelve."""

PATIENT = QUICK.replace("lease=2.0, gather=0.4", "lease=6.0, gather=3.0")
"""The same where many processes share few cores: who does not tell within the gathering what it saw is not counted."""

_PYTHON = ["env", "-u", "PYTHONDONTWRITEBYTECODE", sys.executable, "-c"]

OWNERS = [
    ("acme", "red", "ann"),
    ("acme", "red", "bob"),
    ("acme", "blue", "cid"),
    ("beta", "one", "dan"),
    ("gamma", "still", "eve"),
]
"""Organisation, team and user of each key."""

CALM = frozenset({4})
"""Owners whose calls all end well in a run at size, so that their budget runs out by what is sure."""


class Site:
    """A project folder.

    Args:
        folder: Where it is made.
        mock: The upstream's address.
        limits: Rules.
        redis: Where counters are shared; empty for nowhere.
        patience: Seconds that an upstream may be silent.
        database: URL of a database; empty for the project's own file.
    """

    def __init__(
        self,
        folder: Path,
        mock: str,
        limits: tuple[LimitRule, ...],
        *,
        redis: str = "",
        patience: float = 2.0,
        database: str = "",
    ) -> None:
        self.folder = folder
        self.limits = limits
        self.redis = redis
        self._gateways: list[subprocess.Popen[str]] = []
        route: dict[str, Any] = {
            "deployments": [{"connection": "mock", "model": MODEL}],
            "max_output_tokens": 200,
            "timeouts": {"first_token": patience, "idle": patience},
            "retries": {"attempts": 2, "base": 0.0, "budget": 1.0},
            "breaker": {"failures": 1_000_000},
        }
        settings = {
            "gateway": {
                "port": 0,
                "access": "keys",
                "redis": redis,
                "drain": 30,
                "routes": {"bounded": route, "endless": {**route, "max_output_tokens": None}},
                "limits": [
                    {name: value for name in rule.__struct_fields__ if (value := getattr(rule, name)) is not None}
                    for rule in limits
                ],
            },
            "models": {"prices": [{"model": MODEL, "input": 1.0, "output": 4.0}]},
        }
        if database:
            settings["storage"] = {"database": database}
        (folder / "pilothouse.yaml").write_text(json.dumps(settings))
        (folder / "connections").mkdir()
        connection = {"type": "open_ai", "base_url": f"{mock}/v1", "api_key": "${env:MOCK_KEY}"}
        (folder / "connections" / "mock.yaml").write_text(json.dumps(connection))
        (folder / ".env").write_text("MOCK_KEY=sk-upstream\n")
        with self.workspace() as workspace:
            keys = workspace.get(KeyService)
            drafts = [
                KeyDraft(name=user, organisation=organisation, team=team, user=user)
                for organisation, team, user in OWNERS
            ]
            self.secrets = [keys.create(draft).secret.reveal() for draft in drafts]

    def twin(self, folder: Path, database: str) -> Site:
        """Return another host of the same gateway, in a folder of its own, that knows the database by this URL."""
        found = copy.copy(self)
        found.folder, found._gateways = folder, []
        folder.mkdir()
        for name in ("pilothouse.yaml", "connections", ".env"):
            source = self.folder / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        settings = json.loads((folder / "pilothouse.yaml").read_text())
        settings["storage"] = {"database": database}
        (folder / "pilothouse.yaml").write_text(json.dumps(settings))
        return found

    def start(self, *, workers: int = 1, before: str = "") -> str:
        """Start a gateway; return its address."""
        return self.start_all(1, workers=workers, before=before)[0]

    def start_all(self, count: int, *, workers: int = 1, before: str = "") -> list[str]:
        """Start several gateways side by side; return their addresses."""
        begun = [self._begin(workers, before) for _ in range(count)]
        return [self._address(process) for process in begun]

    def _begin(self, workers: int, before: str) -> subprocess.Popen[str]:
        arguments = ["gateway", "serve", "--workers", str(workers)]
        with (self.folder / "stderr.txt").open("a") as errors:
            process = subprocess.Popen(
                [*_PYTHON, before + MAIN, *arguments],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._gateways.append(process)
        return process

    def _address(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        assert said, (self.folder / "stderr.txt").read_text()
        return next(word for word in said if word.startswith("http")).removesuffix("/v1")

    def workers(self, number: int = 0) -> list[int]:
        """Return the processes of a gateway that answer calls."""
        return _children(self._gateways[number].pid)

    def stop(self) -> list[int]:
        """End all gateways politely; return their exit codes."""
        for process in self._gateways:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in self._gateways]
        self._let_go()
        return codes

    def kill(self) -> None:
        """End what still runs."""
        for process in self._gateways:
            for child in [*_children(process.pid), process.pid]:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait()
        self._let_go()

    def _let_go(self) -> None:
        for process in self._gateways:
            if process.stdout is not None:
                process.stdout.close()
        self._gateways.clear()

    def rows(self) -> list[LedgerEntry]:
        """Return the ledger."""
        found: list[LedgerEntry] = []
        with self.workspace() as workspace:
            ledger, after = workspace.get(LedgerService), None
            while True:
                page = ledger.calls(limit=5000, after=after)
                found += [call.entry for call in page.calls]
                after = page.after
                if after is None:
                    return found

    def budgets(self) -> list[dict[str, Any]]:
        """Return what the command line says of budgets."""
        command = [*_PYTHON, MAIN, "gateway", "budget", "list", "--json"]
        said = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)
        return json.loads(said.stdout)

    async def shared(self) -> list[LimitState]:
        """Return the shared counters as they stand."""
        with self.workspace() as workspace:
            link = Link(self.redis, name=shared_name(workspace.get(Database)), timeout=5.0)
        state = SharedState(link)
        state.epoch = await link.epoch()
        found = await SharedLimiter(self.limits, state).usage()
        await state.aclose()
        return found

    async def quiet(self, seconds: float) -> list[LimitState]:
        """Return the shared counters once nothing is set aside, or after so many seconds."""
        for _ in range(round(seconds * 20)):
            found = await self.shared()
            if not any(state.held for state in found):
                return found
            await asyncio.sleep(0.05)
        return await self.shared()

    def workspace(self) -> Any:
        """Return the services of the project, to be used as a context manager."""
        return plugins.load("workspaces", "project")(self.folder)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
