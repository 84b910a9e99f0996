"""The rest of OpenAI's endpoints, and rerank in Cohere's form."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from typing import Any

from .answers import CREATED, Asked, decoded, reading
from .behaviour import Behaviour
from .bill import Used
from .plans import Plan, encode

PNG = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MP3 = b"\xff\xfb\x90\x00" + bytes(413)
FIELD = re.compile(rb'name="(model|response_format)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n', re.DOTALL)


def embeddings(asked: Asked, told: Behaviour) -> Plan:
    """Vectors of length 1 that follow from the text."""
    given = decoded(asked.input)
    texts = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    size = asked.dimensions or told.dims
    vectors = [_vector(encode(text), size) for text in texts]
    used = reading(asked.words, told, output=0)
    binary = asked.encoding_format == "base64"
    whole: dict[str, Any] = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() if binary else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": asked.model,
        "usage": {"prompt_tokens": used.input, "total_tokens": used.input},
    }
    if told.fault == "nousage":
        del whole["usage"]
    return Plan(body=encode(whole), used=used)


def _vector(text: bytes, size: int) -> list[float]:
    raw = [zlib.crc32(text, number) / 2**31 - 1 for number in range(size)]
    length = sum(value * value for value in raw) ** 0.5
    return [round(value / length, 6) for value in raw]


def moderations(asked: Asked, told: Behaviour) -> Plan:
    """Flag what holds the word `violence`."""
    flagged = b"violence" in bytes(asked.input)
    result = {
        "flagged": flagged,
        "categories": {"violence": flagged, "hate": False},
        "category_scores": {"violence": 0.9 if flagged else 0.1, "hate": 0.0},
        "category_applied_input_types": {"violence": ["text"], "hate": ["text"]},
    }
    return Plan(body=encode({"id": "modr-mock", "model": asked.model, "results": [result]}), used=Used())


def images(asked: Asked, told: Behaviour) -> Plan:
    """Pictures of one pixel."""
    count = asked.n or 1
    used = reading(asked.words, told, output=told.tokens * count)
    used.images = count
    whole = {
        "created": CREATED,
        "data": [{"b64_json": base64.b64encode(PNG).decode()} for _ in range(count)],
        "usage": {
            "input_tokens": used.input,
            "output_tokens": used.output,
            "total_tokens": used.input + used.output,
            "input_tokens_details": {"text_tokens": used.input - used.imagein, "image_tokens": used.imagein},
        },
    }
    return Plan(body=encode(whole), used=used)


def speech(asked: Asked, told: Behaviour) -> Plan:
    """As many frames of silence as `tokens`."""
    text = decoded(asked.input) or ""
    return Plan(body=MP3 * told.tokens, used=Used(characters=len(text)), media=b"audio/mpeg")


def multipart_model(body: bytes) -> str:
    """Return the field `model` of a form with files."""
    fields = dict(FIELD.findall(body))
    return fields.get(b"model", b"").decode()


def transcriptions(model: str, body: bytes, told: Behaviour) -> Plan:
    """A text that follows from the sound; ten milliseconds are heard for each byte."""
    milliseconds = len(body) * 10
    text = f"{zlib.crc32(body):08x}"
    if dict(FIELD.findall(body)).get(b"response_format") == b"text":
        return Plan(body=text.encode() + b"\n", used=Used(milliseconds=milliseconds), media=b"text/plain")
    whole = {"text": text, "usage": {"type": "duration", "seconds": -(-milliseconds // 1000)}}
    return Plan(body=encode(whole), used=Used(milliseconds=-(-milliseconds // 1000) * 1000))


def rerank(asked: Asked, told: Behaviour) -> Plan:
    """Order documents by a score that follows from their text."""
    documents = decoded(asked.documents) or []
    scores = sorted(
        ((round(zlib.crc32(encode(text)) / 2**32, 6), index) for index, text in enumerate(documents)), reverse=True
    )
    results = [{"index": index, "relevance_score": score} for score, index in scores[: asked.top_n or len(scores)]]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return Plan(body=encode({"id": "rerank-mock", "results": results, "meta": meta}), used=Used(searches=1))


def models() -> Plan:
    """A list of two."""
    found = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"} for name in ("mock", "mock-tokens=64")
    ]
    return Plan(body=encode({"object": "list", "data": found}), used=Used())


def passed(method: str, path: str, body: bytes) -> Plan:
    """Tell what arrived: for files, batches and fine-tuning."""
    digest = hashlib.sha256(body).hexdigest()
    return Plan(
        body=encode(
            {
                "id": f"mock-{digest[:8]}",
                "object": "echo",
                "method": method,
                "path": path,
                "bytes": len(body),
                "sha256": digest,
            }
        ),
        used=Used(),
    )
