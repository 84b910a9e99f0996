from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.models.client import collect
from pilothouse.models.providers.azure_openai import build
from pilothouse.models.secret import Secret
from pilothouse.models.types import ChatRequest, Connection, Message

REQUEST = ChatRequest(model="my deployment/1", messages=(Message(role="user", content="u"),), max_tokens=3)


def run(serve: Any, upstream: Any, context: Any, *, stream: bool = False, **configs: str) -> Any:
    async def call() -> Any:
        async with serve(upstream):
            connection = Connection(
                name="aoai",
                type="azure_open_ai",
                configs={"api_base": upstream.url + "/", "api_version": "2024-10-21", "auth_mode": "key", **configs},
                secrets={"api_key": Secret("azure-key-1"), "token": Secret("entra-token-1")},
            )
            client = build(connection, context())
            try:
                return await (collect(client.stream(REQUEST)) if stream else client.chat(REQUEST))
            finally:
                await client.aclose()

    return asyncio.run(call())


def test_the_deployment_stands_in_the_address_and_the_key_in_its_header(
    serve: Any, upstream: Any, context: Any, answer: Any
) -> None:
    upstream.json({**answer, "prompt_filter_results": [{"prompt_index": 0}]})
    assert run(serve, upstream, context).text == "Yes."
    seen = upstream.seen[0]
    assert seen.path == "/openai/deployments/my%20deployment%2F1/chat/completions?api-version=2024-10-21"
    assert seen.headers["api-key"] == "azure-key-1"
    assert "authorization" not in seen.headers
    assert seen.body == {"messages": [{"role": "user", "content": "u"}], "max_tokens": 3}


def test_a_token_goes_into_the_authorization_header(serve: Any, upstream: Any, context: Any, answer: Any) -> None:
    upstream.json(answer)
    run(serve, upstream, context, auth_mode="meid_token")
    assert upstream.seen[0].headers["authorization"] == "Bearer entra-token-1"
    assert "api-key" not in upstream.seen[0].headers


@pytest.mark.parametrize(("version", "asked"), [("2024-02-01", False), ("2024-09-01-preview", True)])
def test_usage_in_a_stream_is_asked_for_where_the_version_knows_it(
    serve: Any, upstream: Any, context: Any, version: str, asked: bool
) -> None:
    first = b'data: {"choices": [], "prompt_filter_results": [{}]}\n\n'
    upstream.sse(
        first,
        b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": null}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
    )
    assert run(serve, upstream, context, stream=True, api_version=version).text == "hi"
    assert ("stream_options" in upstream.seen[0].body) is asked


def test_blocked_content_is_told_in_the_providers_words(serve: Any, upstream: Any, context: Any) -> None:
    from pilothouse.core.errors import ModelError

    upstream.json({"error": {"message": "The response was filtered", "code": "content_filter", "status": 400}}, 400)
    with pytest.raises(ModelError, match="The response was filtered") as caught:
        run(serve, upstream, context)
    assert caught.value.status == 400
    assert not caught.value.retryable
