"""What is not a conversation, asked by the official clients in front of every upstream."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai

from .clients import Clients, named
from .matrix import PASSES, UPSTREAMS, clients_of, gateway_of_all

TEXTS = ["dry", "Grüße"]


async def embeddings(clients: Clients, model: str) -> None:
    """Vectors as numbers: as the client asks by itself, and as numbers on the wire."""
    asked = clients.openai.embeddings
    texts = TEXTS if "bedrock" not in model else TEXTS[:1]
    packed = await asked.create(model=model, input=texts)
    plain = await asked.create(model=model, input=texts, encoding_format="float")
    assert [len(item.embedding) for item in plain.data] == [8] * len(texts)
    assert plain.usage.prompt_tokens > 0
    for one, other in zip(packed.data, plain.data, strict=True):
        assert max(abs(a - b) for a, b in zip(one.embedding, other.embedding, strict=True)) < 1e-6


async def base64_embeddings(clients: Clients, model: str) -> None:
    """Vectors as base64, asked for in so many words."""
    answer = await clients.openai.embeddings.create(model=model, input=TEXTS[0], encoding_format="base64")
    vector: Any = answer.data[0].embedding
    assert isinstance(vector, str)
    assert len(struct.unpack("<8f", base64.b64decode(vector))) == 8


async def images(clients: Clients, model: str) -> None:
    """A picture made, and one changed."""
    made = await clients.openai.images.generate(model=model, prompt="a boat", n=2)
    assert made.data is not None
    assert [base64.b64decode(item.b64_json or "")[:4] for item in made.data] == [b"\x89PNG"] * 2
    picture = ("boat.png", io.BytesIO(base64.b64decode(made.data[0].b64_json or "")), "image/png")
    changed = await clients.openai.images.edit(model=model, image=picture, prompt="with a sail")
    assert changed.data


async def speech(clients: Clients, model: str) -> None:
    """Sound, whole and as it comes."""
    asked = clients.openai.audio.speech
    whole = await asked.create(model=model, voice="alloy", input="Grüße")
    assert whole.content.startswith(b"\xff\xfb")
    async with asked.with_streaming_response.create(model=model, voice="alloy", input="Grüße") as response:
        assert b"".join([piece async for piece in response.iter_bytes()]) == whole.content


async def transcriptions(clients: Clients, model: str) -> None:
    """Sound to text, and to English."""
    sound = ("sound.mp3", b"\xff\xfb" + bytes(400), "audio/mpeg")
    heard = await clients.openai.audio.transcriptions.create(model=model, file=sound)
    assert len(heard.text) == 8
    assert (await clients.openai.audio.translations.create(model=model, file=sound)).text


async def moderations(clients: Clients, model: str) -> None:
    """Two texts, judged."""
    judged = await clients.openai.moderations.create(model=model, input="violence")
    assert judged.results[0].flagged


async def files(clients: Clients, model: str) -> None:
    """A file uploaded, listed and deleted: handed on as it is, to the route that a header names."""
    route = {"x-pilothouse-route": model.partition("/")[0]}
    asked = clients.openai.files
    made: Any = await asked.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="batch", extra_headers=route)
    assert made.method == "POST"
    assert made.bytes > 9
    gone: Any = await asked.delete(made.id, extra_headers=route)
    assert gone.path.partition("?")[0].endswith(f"files/{made.id}")
    started: Any = await clients.openai.batches.create(
        input_file_id=made.id, endpoint="/v1/responses", completion_window="24h", extra_headers=route
    )
    assert started.path.partition("?")[0].endswith("/batches")


async def count_tokens(clients: Clients, model: str) -> None:
    """The length of a prompt."""
    spoken: list[Any] = [{"role": "user", "content": "How long is this?"}]
    assert (await clients.anthropic.messages.count_tokens(model=model, messages=spoken)).input_tokens > 0


ASK: dict[str, Callable[[Clients, str], Awaitable[None]]] = {
    "embeddings": embeddings,
    "embeddings, base64": base64_embeddings,
    "images": images,
    "speech": speech,
    "transcriptions": transcriptions,
    "moderations": moderations,
    "files, batches": files,
    "count_tokens": count_tokens,
}


async def outcomes() -> dict[tuple[str, str], str]:
    """Ask everything of every upstream; return what came of it."""
    async with gateway_of_all() as (gateway, _), clients_of(gateway) as clients:
        places = [(name, upstream) for name in ASK for upstream in UPSTREAMS]
        return dict(zip(places, await asyncio.gather(*(_outcome(clients, *place) for place in places)), strict=True))


async def _outcome(clients: Clients, name: str, upstream: str) -> str:
    try:
        await ASK[name](clients, f"{upstream}/mock-titan-embed-key={name.replace(', ', '-')}")
    except (openai.APIStatusError, anthropic.APIStatusError) as refused:
        return named(refused)
    return PASSES
