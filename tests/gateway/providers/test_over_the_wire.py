"""A client's request of OpenAI's form reaches a server that speaks the vendor's own, and its answer comes back."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest

from pilothouse.gateway.dialects.bedrock.codec import BEDROCK
from pilothouse.gateway.dialects.cohere.codec import COHERE
from pilothouse.gateway.dialects.gemini.codec import GEMINI
from pilothouse.gateway.dialects.interface import Codec
from pilothouse.gateway.providers.interface import Outgoing, Provider
from pilothouse.models.types import ChatRequest, Message, Usage

KEY = "vendor-key-0123456789"
REQUEST = ChatRequest(messages=(Message(role="user", content="Grüße"),), max_tokens=5)
USAGE = Usage(input_tokens=3, output_tokens=2)


def frame(kind: str, payload: Any) -> bytes:
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in ((b":message-type", b"event"), (b":event-type", kind.encode()))
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + body
    return message + struct.pack(">I", crc32(message))


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def text_of_gemini(body: Any) -> str:
    return body["contents"][0]["parts"][0]["text"]


def text_of_bedrock(body: Any) -> str:
    return body["messages"][0]["content"][0]["text"]


def text_of_cohere(body: Any) -> str:
    return body["messages"][0]["content"]


VENDORS = [
    (
        "gemini",
        {"api_key": KEY},
        GEMINI,
        "/models/m:streamGenerateContent?alt=sse",
        "x-goog-api-key",
        text_of_gemini,
        sse(
            {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
            {
                "candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
            },
        ),
    ),
    (
        "bedrock",
        {"api_key": KEY, "region": "r"},
        BEDROCK,
        "/model/m/converse-stream",
        "authorization",
        text_of_bedrock,
        frame("contentBlockDelta", {"delta": {"text": "Hel"}, "contentBlockIndex": 0})
        + frame("contentBlockDelta", {"delta": {"text": "lo"}, "contentBlockIndex": 0})
        + frame("messageStop", {"stopReason": "end_turn"})
        + frame("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}),
    ),
    (
        "cohere",
        {"api_key": KEY},
        COHERE,
        "/v2/chat",
        "authorization",
        text_of_cohere,
        sse(
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "lo"}}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 2}},
                },
            },
        ),
    ),
]


@pytest.mark.parametrize(("kind", "fields", "codec", "path", "header", "text_of", "stream"), VENDORS)
def test_a_stream_comes_back(
    provide: Callable[..., Provider],
    exchange: Callable[..., Any],
    *,
    kind: str,
    fields: dict[str, str],
    codec: Codec,
    path: str,
    header: str,
    text_of: Callable[[Any], str],
    stream: bytes,
) -> None:
    async def make(address: str) -> Outgoing:
        provider = provide(kind, base_url=address, **fields)
        await provider.prepare()
        wire = provider.wire("openai.chat")
        assert wire == codec.wire
        body = codec.encode_request(REQUEST, model="m", stream=True)
        return provider.outgoing(codec.wire, "m", body, stream=True, headers={})

    def answer(sent: Any) -> tuple[int, dict[str, str], bytes]:
        asked = sent.path == path and sent.headers[header].endswith(KEY) and text_of(json.loads(sent.body)) == "Grüße"
        return (200 if asked else 400), {}, stream

    _, status, _, body = exchange(make, answer)
    reader = codec.reader()
    chunks = reader.feed(body)

    assert status == 200
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert [chunk.usage for chunk in chunks if chunk.usage] == [USAGE]
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert reader.finish()


@pytest.mark.parametrize(("kind", "fields"), [(vendor[0], vendor[1]) for vendor in VENDORS])
def test_a_refusal_comes_back_in_words(
    provide: Callable[..., Provider], exchange: Callable[..., Any], kind: str, fields: dict[str, str]
) -> None:
    made: list[Provider] = []

    async def make(address: str) -> Outgoing:
        made.append(provide(kind, base_url=address, **fields))
        return made[0].outgoing(made[0].wire("openai.chat") or "openai.chat", "m", b"{}", stream=False, headers={})

    def answer(sent: Any) -> tuple[int, dict[str, str], bytes]:
        return 429, {"Retry-After": "4"}, json.dumps({"message": f"slow down, {KEY}"}).encode()

    _, status, headers, body = exchange(make, answer)
    refused = made[0].refused(status, {name.lower(): value for name, value in headers.items()}, body)

    assert (refused.failure, refused.retry_after, refused.message) == ("rate_limit", 4.0, "slow down, ***")
