"""The encoder minilm behind the connection local: vectors without a key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilothouse.core.errors import ConfigError, ModelError
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers import local
from pilothouse.models.providers.local import LocalClient
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import Connection, EmbeddingRequest


class Words:
    """An encoder of two dimensions: letters and spaces."""

    def ids(self, text: str) -> tuple[int, ...]:
        return tuple(range(len(text.split()) + 2))

    def whole(self, text: str) -> Any:
        vector = np.array([len(text), text.count(" ")], dtype=np.float32)
        return vector / np.linalg.norm(vector)


@pytest.fixture
def client(tmp_path: Path, clock: Any) -> LocalClient:
    context = ProviderContext(settings=ModelSettings(), root=tmp_path, cache=tmp_path / "models", clock=clock)
    return LocalClient(Connection(name="local", type="local"), context)


def test_vectors_come_from_the_encoder_and_tokens_are_counted(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.Encoder, "offline", lambda *_a, **_k: Words())
    found = asyncio.run(client.embed(EmbeddingRequest(model="minilm", inputs=("abc", "a b"))))
    assert found.model == "minilm"
    assert found.vectors[0] == (1.0, 0.0)
    assert found.vectors[1] == pytest.approx((0.9486833, 0.3162278))
    assert found.usage is not None
    assert found.usage.input_tokens == 7
    with pytest.raises(ModelError, match="dimensions"):
        asyncio.run(client.embed(EmbeddingRequest(model="minilm", inputs=("a",), dimensions=8)))


def test_a_tokenizer_that_is_not_there_is_said_before_the_first_call(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "user_cache", lambda _: tmp_path)
    with pytest.raises(ConfigError, match="tokenizer") as caught:
        client.check("minilm")
    assert "pilothouse model pull minilm" in str(caught.value)
