"""Keys of cached answers. Parts are joined as a JSON list, so that no part can pass for another."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec

from pilothouse.gateway.settings import GuardSettings, RouteSettings
from pilothouse.gateway.types import Body, Tenant, Wire

Scope = Literal["organisation", "team", "user", "key"]

CACHED: Final[frozenset[Wire]] = frozenset(
    {
        "openai.chat",
        "openai.completions",
        "openai.responses",
        "openai.embeddings",
        "openai.moderations",
        "anthropic.messages",
        "anthropic.count_tokens",
        "gemini.generate",
        "gemini.embed",
        "bedrock.converse",
        "bedrock.embed",
        "cohere.chat",
        "cohere.embed",
        "cohere.rerank",
    }
)
"""Wires whose answers may be kept: those that give the same thing for the same body."""

NOISE: Final = frozenset(
    {"model", "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Keys of a body that do not change its answer: the route's name stands for the model."""

_STATEFUL: Final = frozenset({"previous_response_id", "conversation", "background", "container", "store"})
_encoder: Final = msgspec.json.Encoder()


def partition(scope: Scope, tenant: Tenant) -> bytes:
    """Return who shares answers, as bytes that no other tenant has.

    Who has no name at the level of ``scope`` shares within the key alone; an open gateway, which knows no tenants,
    shares within itself.
    """
    levels = (tenant.organisation, tenant.team, tenant.user, tenant.key)
    depth = {"organisation": 1, "team": 2, "user": 3, "key": 4}[scope]
    if not levels[depth - 1]:
        depth = 4
    return _hash([depth, *levels[:depth]])


def route_version(route: RouteSettings, guards: dict[str, GuardSettings]) -> bytes:
    """Return what of a route's settings decides its answers: weights and time-outs may change without a new key."""
    parts: list[Any] = [
        [(item.connection, item.model, item.wires) for item in route.deployments],
        [(name, guards.get(name)) for name in route.guards],
        route.fallback,
        route.max_output_tokens,
    ]
    return _hash(parts)


def body_digest(wire: Wire, body: Body, without: frozenset[str] = NOISE) -> bytes | None:
    """Return the digest of a request; None for one whose answer must not be kept.

    The order of the outermost keys and white space make no difference; the order of inner keys does, because a model
    reads it. A key that stands twice in an object makes the request another one than that of either reading.
    """
    if wire not in CACHED or (wire == "openai.responses" and _is_stateful(body)):
        return None
    stream = body.get("stream")
    is_stream = stream is not None and bytes(stream) == b"true"
    digest = hashlib.sha256(wire.encode())
    for key in sorted(body):
        if key in without or (key == "stream" and not is_stream) or (key == "stream_options" and not is_stream):
            continue
        value = _normal(bytes(body[key]))
        name = _encoder.encode(key)
        digest.update(b"%d:%b%d:%b" % (len(name), name, len(value), value))
    return digest.digest()


def _normal(raw: bytes) -> bytes:
    """Return a JSON value without needless white space.

    Raises:
        msgspec.DecodeError: for what is none.
    """
    if len(raw) < 8:
        return raw.strip()
    normal = _encoder.encode(msgspec.json.decode(raw))
    # Readers differ in which of two equal keys counts: then fewer quotes are left, and the bytes speak for themselves.
    return normal if normal.count(b'"') == raw.count(b'"') else raw


def _is_stateful(body: Body) -> bool:
    """Tell whether a request of the responses API leans on, or leaves behind, something kept by the vendor."""
    return any(key in body and bytes(body[key]) not in {b"null", b"false"} for key in _STATEFUL)


def _hash(parts: list[Any]) -> bytes:
    return hashlib.sha256(_encoder.encode(parts)).digest()
