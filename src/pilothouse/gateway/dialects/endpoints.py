"""Which address asks for what, in which form."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct

from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.types import Dialect, Operation, Wire


class Endpoint(Struct, frozen=True, kw_only=True):
    """What an address asks for.

    Attributes:
        operation: What is asked.
        wire: The form of the body and of the answer.
        dialect: Whose errors the client understands.
        body: What the request carries: a JSON object, a form, or nothing that is read.
        resource: For ``raw``: what it is about, such as ``models``, ``files`` or ``responses``.
        path: The address at a vendor of this dialect, from ``/v1`` on.
        model: The model that the address names; empty where the body does.
        item: The thing that the address names, such as the id of a model or a response; empty for none.
    """

    operation: Operation
    wire: Wire
    dialect: Dialect = "openai"
    body: Literal["json", "form", "none"] = "json"
    resource: str = ""
    path: str = ""
    model: str = ""
    item: str = ""


def _fixed() -> dict[tuple[str, str], Endpoint]:
    asked: list[Endpoint] = [
        Endpoint(operation="chat", wire="openai.chat", path="/v1/chat/completions"),
        Endpoint(operation="chat", wire="openai.completions", path="/v1/completions"),
        Endpoint(operation="chat", wire="openai.responses", path="/v1/responses"),
        Endpoint(operation="embeddings", wire="openai.embeddings", path="/v1/embeddings"),
        Endpoint(operation="images", wire="openai.images", path="/v1/images/generations"),
        Endpoint(operation="images", wire="openai.images", path="/v1/images/edits", body="form"),
        Endpoint(operation="images", wire="openai.images", path="/v1/images/variations", body="form"),
        Endpoint(operation="speech", wire="openai.speech", path="/v1/audio/speech"),
        Endpoint(
            operation="transcriptions", wire="openai.transcriptions", path="/v1/audio/transcriptions", body="form"
        ),
        Endpoint(operation="transcriptions", wire="openai.transcriptions", path="/v1/audio/translations", body="form"),
        Endpoint(operation="moderations", wire="openai.moderations", path="/v1/moderations"),
        Endpoint(operation="rerank", wire="cohere.rerank", path="/v1/rerank"),
        Endpoint(operation="rerank", wire="cohere.rerank", path="/v2/rerank"),
        Endpoint(operation="chat", wire="anthropic.messages", dialect="anthropic", path="/v1/messages"),
        Endpoint(
            operation="count_tokens",
            wire="anthropic.count_tokens",
            dialect="anthropic",
            path="/v1/messages/count_tokens",
        ),
    ]
    return {("POST", endpoint.path): endpoint for endpoint in asked}


_FIXED: Final = _fixed()
_PATHS: Final = frozenset(path for _, path in _FIXED)
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)(/.+)")
_RAW: Final[tuple[tuple[str, re.Pattern[str], frozenset[str]], ...]] = (
    ("models", re.compile(r"/v1/models(?:/(.+))?"), frozenset({"GET"})),
    ("responses", re.compile(r"/v1/responses/([^/]+)"), frozenset({"GET", "DELETE"})),
    ("responses", re.compile(r"/v1/responses/([^/]+)/cancel"), frozenset({"POST"})),
    ("responses", re.compile(r"/v1/responses/([^/]+)/input_items"), frozenset({"GET"})),
    ("files", re.compile(r"/v1/files(?:/([^/]+)(?:/content)?)?"), frozenset({"GET", "POST", "DELETE"})),
    ("batches", re.compile(r"/v1/batches(?:/([^/]+)(?:/cancel)?)?"), frozenset({"GET", "POST"})),
    ("fine_tuning", re.compile(r"/v1/fine_tuning/(.+)"), frozenset({"GET", "POST", "DELETE"})),
)


def endpoint(method: str, path: str) -> Endpoint:
    """Return what an address asks for; ``path`` is without its query.

    Raises:
        Refusal: ``unknown_endpoint``, or ``method_not_allowed``.
    """
    found = _FIXED.get((method, path))
    return found if found is not None else _other(method, path.rstrip("/"))


def dialect_of(path: str) -> Dialect:
    """Return whose errors are spoken at an address, be it known or not."""
    return "anthropic" if path.startswith("/v1/messages") else "openai"


def _other(method: str, path: str) -> Endpoint:
    deployment = _DEPLOYMENT.fullmatch(path)
    if deployment is not None:
        return _of_deployment(method, unquote(deployment[1]), "/v1" + deployment[2])
    if path.startswith("/openai/v1/"):
        path = path.removeprefix("/openai")
    found = _FIXED.get((method, path))
    if found is not None:
        return found
    is_known = path in _PATHS
    for resource, pattern, methods in _RAW:
        match = pattern.fullmatch(path)
        if match is None or ".." in path:
            continue
        if method in methods:
            return Endpoint(
                operation="raw",
                wire="openai.raw",
                body="none",
                resource=resource,
                path=path,
                item=unquote(match[1] or ""),
            )
        is_known = True
    if is_known:
        raise Refusal("method_not_allowed", f"{method} is not understood at {path}")
    raise Refusal("unknown_endpoint", f"nothing is served at {path or '/'}; chat is at /v1/chat/completions")


def _of_deployment(method: str, model: str, path: str) -> Endpoint:
    found = _FIXED.get((method, path))
    if found is not None and found.dialect == "openai":
        return Endpoint(operation=found.operation, wire=found.wire, body=found.body, path=path, model=model)
    if path in _PATHS and dialect_of(path) == "openai":
        raise Refusal("method_not_allowed", f"{method} is not understood at {path}")
    raise Refusal("unknown_endpoint", f"no deployment serves {path}")
