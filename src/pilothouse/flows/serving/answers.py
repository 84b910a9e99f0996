"""Answers as they stand on the wire: JSON, frames of an event stream, and errors in prompt flow's form."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.responses import Response

from pilothouse.models.secret import Secret, redact

EVENT_STREAM: Final = "text/event-stream"
JSON: Final = frozenset({"application/json", "application/*", "*/*"})


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What is wrong, for the client.
        headers: Headers beside the usual ones.
        details: Facts beside code and message, such as the node.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.details = {key: value for key, value in (details or {}).items() if value}

    def body(self, secrets: Collection[Secret] = ()) -> dict[str, Any]:
        """Return prompt flow's form: the code says whose fault it is."""
        code = "UserError" if self.status < 500 else "SystemError"
        return {"error": {"code": code, "message": redact(self.message, secrets), **self.details}}


def _plain(value: Any) -> Any:
    # What numpy and its like give their numbers and arrays as.
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        return to_list()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


_encode = json.JSONEncoder(default=_plain).encode


def json_bytes(value: Any) -> bytes:
    """Return ``value`` as JSON.

    Raises:
        Problem: 500, where JSON has no form for it.
    """
    try:
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Problem(500, f"an output cannot be sent: {error}") from error


def frame(value: Any, event: str = "") -> bytes:
    """Return one frame of an event stream, as prompt flow writes it; ``event`` is the name of another kind."""
    head = f"event: {event}\n".encode() if event else b""
    return b"".join((head, b"data: ", json_bytes(value), b"\n\n"))


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(json_bytes(value), status, dict(headers or {}), media_type="application/json")


def accepted(header: str | None) -> frozenset[str]:
    """Return the media types that a client accepts, without their weights; all where it says nothing."""
    found = {item.split(";", 1)[0].strip().lower() for item in (header or "").split(",")}
    return frozenset(found - {""}) or frozenset({"*/*"})
