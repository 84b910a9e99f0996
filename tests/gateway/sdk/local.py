"""The local model behind the gateway: real weights, in this process."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai

from pilothouse.core.clock import SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.packages import user_cache
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.models import local_models
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.local import LocalClient
from pilothouse.models.settings import Local, ModelSettings
from pilothouse.models.types import Connection

from ..running import Gateway, running
from .clients import ASK, Case, Client, Clients, Said, named
from .matrix import CASES, CLIENTS, PASSES, check_rows, clients_of

MODEL = f"local/{local_models.DEFAULT}"
MINILM = "local/minilm"
SIZE = 384
WORDS = "Say hello."
MOST = 60


@asynccontextmanager
async def gateway_of_local() -> AsyncIterator[Gateway]:
    """While inside, a gateway serves the models of this process."""
    folder = user_cache(Environment.load(Path("/"))) / "models"
    local_models.pull(local_models.DEFAULT, folder)
    settings = ModelSettings(local=Local(context=1024, parallel=2))
    context = ProviderContext(settings=settings, root=Path("/"), cache=folder, clock=SystemClock())
    client = LocalClient(Connection(name="local", type="local"), context)
    try:
        asked = GatewaySettings(access="open")
        async with running(asked, {"local": ("local", "")}, models={"local": client}) as gateway:
            yield gateway
    finally:
        client.close()


async def outcomes() -> dict[tuple[str, str], str]:
    """Ask everything of the local model, one after the other: it has one processor."""
    found: dict[tuple[str, str], str] = {}
    async with gateway_of_local() as gateway, clients_of(gateway) as both:
        for client in CLIENTS:
            for case in CASES:
                if client != "openai completions" or case in {"plain", "stream"}:
                    words = WORDS if case in {"plain", "stream"} else both.words
                    clients = Clients(both.openai, both.anthropic, words, MOST)
                    found[client, case] = await _outcome(gateway, clients, client, case)
        await vectors(both)
    return found


async def _outcome(gateway: Gateway, clients: Clients, client: Client, case: Case) -> str:
    before = len(gateway.ledger.entries)
    try:
        said = await ASK[client](clients, MODEL, case)
    except (openai.BadRequestError, anthropic.BadRequestError) as refused:
        return named(refused)
    check(case, said)
    await gateway.settled()
    check_rows(gateway.ledger.entries[before:], said)
    return f"{PASSES}, in one piece" if said.pieces == 1 else PASSES


def check(case: Case, said: Said) -> None:
    """Look at what a small model said: its words are its own, but their form is what was asked for."""
    assert said.text, said
    if case == "structured":
        assert said.report is not None
    if case.startswith("tools"):
        (call,) = said.calls
        assert {"city", "days"} <= call.keys(), call
    assert (said.pieces > 0) == (case in {"stream", "tools streamed"})


async def vectors(clients: Clients) -> None:
    """Ask for vectors in every way."""
    asked = clients.openai.embeddings
    texts = ["It is dry.", "Es regnet."]
    packed = await asked.create(model=MINILM, input=texts)
    plain = await asked.create(model=MINILM, input=texts, encoding_format="float")
    assert [len(item.embedding) for item in plain.data] == [SIZE] * 2
    assert json.dumps(plain.data[0].embedding) != json.dumps(plain.data[1].embedding)
    for one, other in zip(packed.data, plain.data, strict=True):
        assert max(abs(a - b) for a, b in zip(one.embedding, other.embedding, strict=True)) < 1e-6
    words = await asked.create(model=MINILM, input=texts[0], encoding_format="base64")
    vector: Any = words.data[0].embedding
    assert isinstance(vector, str)
    assert len(struct.unpack(f"<{SIZE}f", base64.b64decode(vector))) == SIZE
    assert words.usage.prompt_tokens > 2
