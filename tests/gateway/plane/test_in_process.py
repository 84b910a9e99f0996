"""What models of this process are asked, and what they refuse in words."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest

from pilothouse.gateway.types import Wire
from pilothouse.gateway.upstream.in_process import InProcessProvider, InProcessTransport
from pilothouse.gateway.upstream.types import UpstreamFault
from pilothouse.models.types import ChatResponse, CompletionRequest, EmbeddingRequest, EmbeddingResponse, Message, Usage


class Model:
    """Remembers what it is asked."""

    provider = "local"
    concurrency = 1

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        self.asked.append(request)
        return ChatResponse(message=Message(role="assistant", content="more"), finish_reason="stop")

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        self.asked.append(request)
        return EmbeddingResponse(vectors=((0.5, -1.0),) * len(request.inputs), usage=Usage(input_tokens=3))


def ask(model: Model, wire: Wire, **body: Any) -> Any:
    provider = InProcessProvider("mine", model)  # type: ignore[arg-type]
    transport = InProcessTransport(lambda name: model)  # type: ignore[arg-type,return-value]
    outgoing = provider.outgoing(wire, "m", json.dumps({"model": "m", **body}).encode(), stream=False, headers={})

    async def run() -> Any:
        answer = await transport.open(outgoing, connect=1, whole=True)
        try:
            return json.loads(await answer.read() or b"")
        finally:
            await answer.aclose()

    return asyncio.run(run())


def test_vectors_are_told_as_they_were_asked_for() -> None:
    model = Model()
    plain = ask(model, "openai.embeddings", input=["a", "b"], encoding_format="float")
    packed = ask(model, "openai.embeddings", input="a", encoding_format="base64")
    assert [item["embedding"] for item in plain["data"]] == [[0.5, -1.0]] * 2
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.0)
    assert plain["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [request.inputs for request in model.asked] == [("a", "b"), ("a",)]


def test_all_that_steers_a_completion_arrives() -> None:
    model = Model()
    ask(model, "openai.completions", prompt=["x"], presence_penalty=0.5, suffix="y", stream=False, n=None)
    assert model.asked == [CompletionRequest(model="m", prompt="x", presence_penalty=0.5, suffix="y")]


@pytest.mark.parametrize(
    ("wire", "body", "words"),
    [
        ("openai.completions", {"prompt": "x", "min_p": 0.1}, "no word for `min_p`"),
        ("openai.completions", {"prompt": ["x", "y"]}, "continue one text"),
        ("openai.completions", {}, "continue one text"),
        ("openai.embeddings", {"input": [1, 2]}, "expected `input` as a text"),
        ("openai.embeddings", {"input": "x", "input_type": "query"}, "no word for `input_type`"),
    ],
)
def test_what_cannot_be_asked_is_refused_as_the_clients_mistake(wire: Wire, body: dict[str, Any], words: str) -> None:
    with pytest.raises(UpstreamFault, match=words) as caught:
        ask(Model(), wire, **body)
    assert caught.value.failure == "request"
