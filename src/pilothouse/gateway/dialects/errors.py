"""How the gateway says no in each vendor's manner, so that the vendor's own client raises its own exceptions.

The stable code of ``refusals`` is in every one of them: as ``code`` where the vendor has such a field, else beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.frames import write_event
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.types import Dialect, Wire

_encode = msgspec.json.Encoder().encode
_OPENAI: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_BEDROCK: Final = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def error_body(dialect: Dialect, refusal: Refusal, call_id: str) -> bytes:
    """Return the JSON body of an answer that says no."""
    return _encode(_SHAPES[dialect](refusal, call_id))


def error_event(wire: Wire, refusal: Refusal, call_id: str, *, sequence: int = 0) -> bytes:
    """Return the last event of a stream that cannot go on; nothing may follow it.

    Args:
        wire: The form of the stream.
        refusal: Why.
        call_id: The call.
        sequence: For the responses form: the number of the event.
    """
    if wire == "anthropic.messages":
        return write_event(error_body("anthropic", refusal, call_id), "error")
    if wire == "openai.responses":
        error = _openai(refusal, call_id)["error"]
        # Its clients read the fields beside `type`; `error` makes them raise instead of handing on an event.
        event = {
            "type": "error",
            "sequence_number": sequence,
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param,
            "error": error,
        }
        return write_event(_encode(event), "error")
    dialect: Dialect = "openai"
    for known in _SHAPES:
        if wire.startswith(known):
            dialect = known
    return write_event(error_body(dialect, refusal, call_id))


def _kind(kinds: dict[int, str], status: int, client: str, server: str) -> str:
    return kinds.get(status) or (client if status < 500 else server)


def _openai(refusal: Refusal, call_id: str) -> dict[str, Any]:
    kind = _kind(_OPENAI, refusal.status, "invalid_request_error", "server_error")
    error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
    return {"error": {**error, "request_id": call_id}}


def _anthropic(refusal: Refusal, call_id: str) -> dict[str, Any]:
    kind = _kind(_ANTHROPIC, refusal.status, "invalid_request_error", "api_error")
    error: dict[str, Any] = {"type": kind, "message": refusal.message, "code": refusal.code}
    if refusal.param is not None:
        error["param"] = refusal.param
    return {"type": "error", "error": error, "request_id": call_id}


def _gemini(refusal: Refusal, call_id: str) -> dict[str, Any]:
    state = _kind(_GEMINI, refusal.status, "FAILED_PRECONDITION", "INTERNAL")
    details = [{"reason": refusal.code, "metadata": {"call": call_id}}]
    return {"error": {"code": refusal.status, "message": refusal.message, "status": state, "details": details}}


def _bedrock(refusal: Refusal, call_id: str) -> dict[str, Any]:
    kind = _kind(_BEDROCK, refusal.status, "ValidationException", "InternalServerException")
    return {"__type": kind, "message": refusal.message, "code": refusal.code, "request_id": call_id}


def _cohere(refusal: Refusal, call_id: str) -> dict[str, Any]:
    return {"id": call_id, "message": refusal.message, "code": refusal.code}


_SHAPES: Final[dict[Dialect, Callable[[Refusal, str], dict[str, Any]]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "cohere": _cohere,
}
