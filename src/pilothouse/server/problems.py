"""Errors as they stand on the wire: a stable code, what, where, what was expected, how to mend it."""

from __future__ import annotations

from typing import Any, Final

from pilothouse.access.refusals import Changed, Forbidden
from pilothouse.core.errors import Conflict, ModelError, NotFound, PilothouseError, StorageError, UserError

_KINDS: Final[tuple[tuple[type[PilothouseError], int, str], ...]] = (
    (Forbidden, 403, "forbidden"),
    (NotFound, 404, "not_found"),
    (Changed, 412, "changed"),
    (Conflict, 409, "conflict"),
    (UserError, 400, "invalid_request"),
    (ModelError, 502, "model_failed"),
    (StorageError, 503, "storage_unavailable"),
)


class Problem(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        code: A stable word for programs.
        parts: Message, place, expectation and remedy; none is a secret.
        headers: Headers beside the usual ones.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None, **parts: str | None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.parts = {"message": message, **{name: text for name, text in parts.items() if text}}
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        return {"error": {"code": self.code, **self.parts}}


def told(error: PilothouseError) -> Problem:
    """Return what an error of ours means over HTTP."""
    status, code = next(((status, code) for kind, status, code in _KINDS if isinstance(error, kind)), (500, "failed"))
    return Problem(status, code, error.message, where=error.where, expected=error.expected, fix=error.fix)
