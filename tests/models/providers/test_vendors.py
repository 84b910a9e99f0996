"""Connections of other vendors: those that speak OpenAI's dialect serve flows, the others name the way round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core import plugins
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault
from pilothouse.models.connection_types import TYPES, connection_type
from pilothouse.models.connections import ConnectionFolder
from pilothouse.models.providers import azure_openai
from pilothouse.models.secret import Secret
from pilothouse.models.types import ChatRequest, Connection, Message

REQUEST = ChatRequest(model="m", messages=(Message(role="user", content="u"),))
KEY = "vendor-key-0123456789"

SPEAKING = [
    ("mistral", "/v1", "/v1/chat/completions", "mistral_ai"),
    ("ollama", "", "/v1/chat/completions", "ollama"),
    ("vllm", "/v1/", "/v1/chat/completions", "vllm"),
    ("cohere", "", "/compatibility/v1/chat/completions", "cohere"),
    ("gemini", "/v1beta", "/v1beta/openai/chat/completions", "gcp.gemini"),
]


@pytest.mark.parametrize(("kind", "base", "path", "name"), SPEAKING)
def test_a_flow_calls_a_vendor_that_speaks_the_dialect(
    serve: Any, upstream: Any, context: Any, answer: Any, kind: str, base: str, path: str, name: str
) -> None:
    upstream.json(answer)

    async def call() -> Any:
        async with serve(upstream):
            connection = Connection(
                name="v", type=kind, configs={"base_url": upstream.url + base}, secrets={"api_key": Secret(KEY)}
            )
            client = plugins.load("providers", kind)(connection, context())
            try:
                assert client.provider == name
                return await client.chat(REQUEST)
            finally:
                await client.aclose()

    assert asyncio.run(call()).text == "Yes."
    assert upstream.seen[0].path == path
    assert upstream.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_server_of_ones_own_is_asked_without_a_key(serve: Any, upstream: Any, context: Any, answer: Any) -> None:
    upstream.json(answer)

    async def call() -> None:
        async with serve(upstream):
            connection = Connection(name="v", type="ollama", configs={"base_url": upstream.url})
            client = plugins.load("providers", "ollama")(connection, context())
            await client.chat(REQUEST)
            await client.aclose()

    asyncio.run(call())
    assert "authorization" not in upstream.seen[0].headers


@pytest.mark.parametrize("kind", ["anthropic", "vertex", "bedrock"])
def test_a_flow_is_sent_to_the_gateway_for_a_vendor_with_a_form_of_its_own(context: Any, kind: str) -> None:
    connection = Connection(name="v", type=kind, secrets={"api_key": Secret(KEY)})

    with pytest.raises(ConnectionFault) as caught:
        plugins.load("providers", kind)(connection, context())

    assert "gateway serve" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_flow_is_sent_to_the_gateway_for_a_token_that_is_fetched(context: Any) -> None:
    connection = Connection(name="v", type="azure_open_ai", configs={"auth_mode": "entra", "api_base": "https://a"})

    with pytest.raises(ConnectionFault, match="the gateway can"):
        azure_openai.build(connection, context())


def test_every_type_that_serves_models_has_a_client() -> None:
    assert {name for name, kind in TYPES.items() if kind.serves_models} == set(plugins.names("providers"))


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("MistralAI", "mistral"),
        ("VertexAI", "vertex"),
        ("amazon_bedrock", "bedrock"),
        ("AnthropicConnection", "anthropic"),
    ],
)
def test_a_vendor_is_found_by_the_names_people_use(spelling: str, name: str) -> None:
    assert connection_type(spelling).name == name


Make = Callable[[str, dict[str, str]], Connection]


@pytest.fixture
def resolved(tmp_path: Path) -> Make:
    def make(kind: str, values: dict[str, str]) -> Connection:
        folder = ConnectionFolder(tmp_path, Environment({"SECRET": KEY}))
        folder.add("v", kind, values)
        return folder.resolve("v")

    return make


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("anthropic", {"api_key": "${env:SECRET}"}),
        ("vertex", {"project": "p"}),
        ("bedrock", {"region": "r"}),
        ("bedrock", {"region": "r", "access_key_id": "A", "secret_access_key": "${env:SECRET}"}),
        ("ollama", {}),
        ("azure_open_ai", {"auth_mode": "entra", "api_base": "https://a"}),
    ],
)
def test_a_connection_is_complete_with_what_the_vendor_needs(resolved: Make, kind: str, values: dict[str, str]) -> None:
    connection = resolved(kind, values)

    assert connection.type == kind
    assert KEY not in repr(connection)


@pytest.mark.parametrize(
    ("kind", "values", "word"),
    [("anthropic", {}, "api_key"), ("vertex", {}, "project"), ("bedrock", {}, "region"), ("cohere", {}, "api_key")],
)
def test_a_connection_that_lacks_something_says_what(
    resolved: Make, kind: str, values: dict[str, str], word: str
) -> None:
    with pytest.raises(ConnectionFault, match=word):
        resolved(kind, values)


def test_a_secret_in_the_clear_is_refused(resolved: Make) -> None:
    with pytest.raises(ConnectionFault):
        resolved("bedrock", {"region": "r", "access_key_id": "A", "secret_access_key": "in-the-clear"})
