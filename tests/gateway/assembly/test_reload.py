"""SIGHUP takes in what stands beside the routes, too: connections, the keys in `.env`, prices; or nothing at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.core.settings import Settings
from pilothouse.gateway.assembly import Gateway
from pilothouse.models.rates.card import RateCard

from ..assembled import ask_of

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
ROUTES = """
gateway:
  routes: {chat: {deployments: [{connection: up, model: mock-tokens=1}]}}
models:
  prices: [{model: mock-tokens=1, input: %s, output: 0, request: 0}]
"""


def test_a_reload_takes_in_keys_connections_and_prices(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    services, root = project.services, project.services.root

    def write(price: float, secret: str) -> None:
        (root / "pilothouse.yaml").write_text(ROUTES % price)
        (root / ".env").write_text(f"KEY_HERE={secret}\n")

    async def run() -> None:
        gateway = Gateway(services, "127.0.0.1")
        await gateway.open()

        async def served(secret: str, cost: int) -> None:
            """Call until the upstream is shown a key; each call costs what the row says."""
            for _ in range(200):
                assert (await ask_of(gateway, BODY)).status == 200
                shown = project.upstream.requests[-1].headers[b"authorization"].decode()
                if shown == f"Bearer {secret}":
                    break
                await asyncio.sleep(0.02)
            assert shown == f"Bearer {secret}"
            rows = await asyncio.to_thread(project.rows)
            assert rows[-1].entry.cost == cost * rows[-1].entry.usage.input_tokens

        try:
            await served("sk-one", 1000)
            write(3.0, "sk-two")
            await asyncio.to_thread(gateway._reload)
            await served("sk-two", 3000)
            assert gateway.config.version.number == 1
            connection = root / "connections" / "up.yaml"
            whole = connection.read_text()
            connection.write_text(whole + "base_ulr: x\n")
            write(3.0, "sk-three")
            await asyncio.to_thread(gateway._reload)
            assert "base_ulr" in gateway.faults["pilothouse.yaml"]
            await served("sk-two", 3000)
            connection.write_text(whole)
            await asyncio.to_thread(gateway._reload)
            await served("sk-three", 3000)
            assert gateway.faults == {}
        finally:
            await gateway.aclose()

    write(1.0, "sk-one")
    services.environment = type(services.environment).load(root)
    services.settings = Settings.load(root, services.environment)
    services.put(RateCard.build(services), RateCard)
    asyncio.run(run())
    assert "models.prices were taken in: 1" in capsys.readouterr().err
