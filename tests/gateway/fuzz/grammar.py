"""Requests that are almost right: golden bodies spoilt at places of chance, heads and bytes mutated on the wire."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from ..dialects.goldens import golden
from ..plane.wire import request

MODELS: Final = ("chat", "claude", "guarded", "cached", "html", "nobody")
ODD: Final[list[Any]] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    2**63,
    -(2**63),
    "",
    "x",
    "\x00",
    "\ud7ff\uffff",
    "a\r\nb: c",
    [],
    {},
    [7],
    [None],
    [[[[]]]],
    {"type": "x"},
    {"a": {}},
    "y" * 70_000,
    "data:image/png;base64,!!",
]
_INPUT: Final = {"model": "chat", "input": ["a", "b"], "encoding_format": "float", "dimensions": 3, "user": "u"}
_RERANK: Final = {"model": "chat", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}
_PLAIN: Final = {"model": "chat", "prompt": "hello", "input": "hello", "voice": "alloy", "n": 1, "max_tokens": 5}
BODIES: Final[list[tuple[str, dict[str, Any]]]] = [
    ("/v1/chat/completions", json.loads(golden("openai.chat", "request.json"))),
    ("/v1/completions", json.loads(golden("openai.completions", "request.json"))),
    ("/v1/responses", json.loads(golden("openai.responses", "request.json"))),
    ("/v1/messages", json.loads(golden("anthropic.messages", "request.json"))),
    ("/v1/messages/count_tokens", json.loads(golden("anthropic.messages", "request.json"))),
    ("/v1/embeddings", _INPUT),
    ("/v1/rerank", _RERANK),
    *((f"/v1/{path}", _PLAIN) for path in ("images/generations", "audio/speech", "moderations")),
    ("/openai/deployments/chat/chat/completions", json.loads(golden("openai.chat", "request.json"))),
]
_PATHS: Final = [*(path for path, _ in BODIES), "/v1/models", "/v1/files", "/v1/files/%2e%2e", "/v1/audio/translations"]
_METHODS: Final = ("POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "CONNECT")
_TOKENS: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"\x00",
    b":",
    b" ",
    b"\xff",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 7\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"HTTP/1.0",
    b"0\r\n\r\n",
    b"%00",
    b"..",
    b"Content-Encoding: gzip\r\n",
)


_MANY = 1_000
"""Places of a body from which on its parts are not repeated any more."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give every place of a value of JSON but its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def _spoil(chance: Random, body: dict[str, Any]) -> None:
    found = list(places(body))
    if not found:
        return
    *way, last = chance.choice(found)
    spot: Any = body
    for key in way:
        spot = spot[key]
    kind = chance.random()
    if kind < 0.15:
        del spot[last]
    elif kind < 0.3 and isinstance(spot, dict):
        spot[chance.choice(["model", "n", "stream", "tools", "x", "\x00", "max_tokens"])] = spot.pop(last)
    elif kind < 0.4:
        # Copies of copies would be more than memory holds, once in some thousand requests.
        spot[last] = [spot[last]] * chance.choice([0, 2, 200 if len(found) < _MANY else 1])
    else:
        spot[last] = copy.deepcopy(chance.choice(ODD))


def _mangle(chance: Random, data: bytes) -> bytes:
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.random()
        if kind < 0.3:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind < 0.5:
            data = data[:at] + data[at + chance.randint(1, 30) :]
        elif kind < 0.9:
            data = data[:at] + chance.choice(_TOKENS) + data[at:]
        else:
            end = at + chance.randint(1, 40)
            data = data[:at] + data[at:end] * chance.choice([2, 50]) + data[end:]
    return data


def body(chance: Random) -> bytes:
    """Return a whole request whose body is a golden one spoilt up to four times, and now and then its bytes too."""
    path, golden_body = chance.choice(BODIES)
    made = copy.deepcopy(golden_body)
    made["model"] = chance.choice(MODELS)
    if chance.random() < 0.4:
        made["stream"] = chance.random() < 0.7
    if chance.random() < 0.7:
        made.setdefault("max_tokens", 9)
    for _ in range(chance.randint(0, 4)):
        _spoil(chance, made)
    data = json.dumps(made, ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace")
    if chance.random() < 0.2:
        data = _mangle(chance, data)
    return request(path=path, body=data, length=len(data), headers=[("Connection", "close")])


def head(chance: Random) -> bytes:
    """Return a request whose bytes, head included, were mutated; it may be whole, torn, or several."""
    data = json.dumps({"model": chance.choice(MODELS), "messages": [], "prompt": "x", "max_tokens": 5}).encode()
    whole = request(chance.choice(_METHODS), chance.choice(_PATHS), data)
    return _mangle(chance, whole * chance.choice([1, 1, 1, 3]))
