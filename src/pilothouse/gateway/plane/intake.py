"""From a request on the wire to a call: whose it is, what it asks, which route it means."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from pilothouse.access.keys.ring import KeyEntry
from pilothouse.core.errors import nearest_hint
from pilothouse.gateway.dialects.endpoints import Endpoint
from pilothouse.gateway.dialects.facts import RequestFacts, check_request
from pilothouse.gateway.plane.asking.bodies import decode_body, model_of_form
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.types import Route
from pilothouse.gateway.types import Body, Tenant

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

ROUTE_HEADER: Final = "x-pilothouse-route"
"""Names the route of a request whose body names no model, such as a file."""

_KEY_HEADERS: Final = ("x-api-key", "api-key", "x-goog-api-key")
_OWN_SITES: Final = frozenset({"none", "same-origin"})
_HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]", ""})
_PLAIN: Final = frozenset({"", "identity"})
_LONGEST_LENGTH: Final = 19
_AT_ONCE: Final = 65_536
"""Bytes up to which a server takes a body in without telling the client to wait."""

_SLOWEST: Final = 4096
"""Bytes a second that a body comes with at least."""

_ASK: Final = "send the gateway's key: Authorization: Bearer ph-..."


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


def authenticate(snapshot: Snapshot, headers: Mapping[str, str], now_ns: int) -> KeyEntry | None:
    """Return the key a request shows; None where the gateway is open.

    Raises:
        Refusal: ``missing_api_key``, ``invalid_api_key``, ``key_revoked``, ``key_expired``; in an open gateway
            ``operation_not_allowed`` for a web page of another site.
    """
    if snapshot.keys is None:
        _refuse_strangers(headers)
        return None
    token = _token(headers)
    if not token:
        raise Refusal("missing_api_key", f"this gateway wants a key; {_ASK}")
    entry = snapshot.keys.find(token)
    if entry is None:
        raise Refusal("invalid_api_key", f"this key is not known; {_ASK}")
    state = entry.state(now_ns)
    if state == "revoked":
        raise Refusal("key_revoked", "this key was revoked; ask the gateway's administrator for another")
    if state == "expired":
        raise Refusal("key_expired", "this key has expired; ask the gateway's administrator for another")
    return entry


def tenant_of(entry: KeyEntry) -> Tenant:
    """Return who pays for the calls of a key."""
    return Tenant(
        key=entry.id, organisation=entry.organisation, team=entry.team, user=entry.user, use_case=entry.use_case
    )


class Received(Protocol):
    """What the server has received of a request so far."""

    body: bytes
    more_body: bool


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    most: int,
    patience: float,
    *,
    deadlines: Deadlines,
    received: Received | None = None,
) -> bytes:
    """Return a request's whole body.

    Args:
        receive: Where its pieces come from.
        headers: Its headers.
        most: Bytes of the longest body.
        patience: Seconds that the next piece may take; and the whole, beyond a second for each 4 kB.
        deadlines: What ends the waiting.
        received: What is here already; None where the server does not tell.

    Raises:
        Refusal: ``body_too_large``, or ``body_timeout``.
        ClientGone: when the client went away.
    """
    if headers.get("content-encoding", "identity").strip().lower() not in _PLAIN:
        raise Refusal("unsupported_encoding", "bodies are read as they are; send this one without Content-Encoding")
    length = headers.get("content-length", "")
    if len(length) > _LONGEST_LENGTH or (length.isascii() and length.isdigit() and int(length) > most):
        raise _too_large(most)
    if received is not None and not received.more_body and len(received.body) <= min(most, _AT_ONCE):
        body, received.body = bytes(received.body), b""
        return body
    pieces: list[bytes] = []
    size = 0
    begun = time.monotonic()
    while True:
        # A client that sends a byte now and then is as slow as one that sends nothing.
        left = begun + patience + size / _SLOWEST - time.monotonic()
        try:
            with deadlines.within(min(patience, left)):
                message = await receive()
        except TimeoutError:
            raise Refusal("body_timeout", f"the body came too slowly: a piece may take {patience:g} s") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def understand(call: Call) -> None:
    """Read what routing needs of the body, and find the route.

    Raises:
        Refusal: ``invalid_json``, ``invalid_request``, ``model_not_found``, ``model_not_allowed``,
            ``operation_not_allowed``.
    """
    endpoint = call.endpoint
    if endpoint.operation == "raw":
        named = call.headers.get(ROUTE_HEADER, "") or _only_route(call.snapshot)
        # A connection that leaves the model open is named as a whole: a file has no model.
        call.facts = RequestFacts(model=f"{named}/" if named in call.snapshot.open_routes else named)
    elif endpoint.body == "form":
        model = endpoint.model or _checked(model_of_form, call.raw, call.headers.get("content-type", ""))
        call.facts = RequestFacts(model=model)
    else:
        call.body = _json(call.raw)
        call.facts = _checked(_facts, endpoint, call.body)
    call.route, call.model = find_route(call.snapshot, call.facts.model, call.key)
    _check_rights(call)


def _facts(endpoint: Endpoint, body: Body) -> RequestFacts:
    return check_request(endpoint.wire, body, model=endpoint.model)


def find_route(snapshot: Snapshot, name: str, key: KeyEntry | None = None) -> tuple[Route, str]:
    """Return the route of a name, and the model in it where the name leaves that open.

    Raises:
        Refusal: ``model_not_found``, with the nearest name among those that the key may use.
    """
    route = snapshot.routes.get(name)
    if route is not None:
        return route, ""
    first, slash, rest = name.partition("/")
    if slash and first in snapshot.open_routes:
        return snapshot.open_routes[first], rest
    known = [*snapshot.routes.items(), *((f"{each}/...", route) for each, route in snapshot.open_routes.items())]
    shown = [each for each, route in known if key is None or key.allows_model(route.name)]
    raise Refusal(
        "model_not_found", f"there is no model '{name[:200]}' here; {nearest_hint(name[:200], shown)}", param="model"
    )


def _check_rights(call: Call) -> None:
    key, route = call.key, call.route
    if key is None or route is None:
        return
    if not key.allows_model(route.name):
        raise Refusal("model_not_allowed", f"this key may not use the model '{route.name}'", param="model")
    if not key.allows_operation(call.endpoint.operation):
        raise Refusal("operation_not_allowed", f"this key may not ask for {call.endpoint.operation}")


def _json(raw: bytes) -> Body:
    try:
        return decode_body(raw)
    except UnicodeDecodeError as error:
        raise Refusal("invalid_json", f"the body is not UTF-8: byte {error.start}") from None
    except ValueError as error:
        raise Refusal("invalid_json", f"the body is not a JSON object: {error}") from None


def _checked(check: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return check(*arguments)
    except ValueError as error:
        words = str(error)
        field = words.split("`", 2)[1] if words.count("`") > 1 else None
        raise Refusal("invalid_request", words, param=field) from None


def _only_route(snapshot: Snapshot) -> str:
    names = {route.name for route in (*snapshot.routes.values(), *snapshot.open_routes.values())}
    if len(names) != 1:
        raise Refusal(
            "invalid_request",
            f"which of {len(names)} routes? Name one in the header {ROUTE_HEADER}",
            param=ROUTE_HEADER,
        )
    return names.pop()


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return next((headers[name] for name in _KEY_HEADERS if name in headers), "")


def _refuse_strangers(headers: Mapping[str, str]) -> None:
    """Refuse what a web page of another site sends to an open gateway on this machine."""
    host = headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    origin = headers.get("origin", "")
    is_foreign = headers.get("sec-fetch-site", "none") not in _OWN_SITES
    if is_foreign or name.lower() not in _HERE or (origin and origin.partition("://")[2] != host):
        raise Refusal(
            "operation_not_allowed",
            "a gateway without keys answers this machine alone; make a key: pilothouse gateway key create NAME",
        )


def _too_large(most: int) -> Refusal:
    return Refusal("body_too_large", f"the body is longer than {most:,} bytes (gateway.max_body)")
