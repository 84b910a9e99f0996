"""Why an attempt failed: in the upstream's words, in its status, or by what it did not do."""

from __future__ import annotations

from typing import Final

import msgspec

from pilothouse.gateway.routing.types import Step
from pilothouse.gateway.types import Failure
from pilothouse.gateway.upstream.types import Answer

_LONGEST_REFUSAL: Final = 65_536
_CODES: Final[dict[Failure, str]] = {
    "timeout": "upstream_timeout",
    "stream_idle": "upstream_timeout",
    "cut": "upstream_cut",
    "malformed": "upstream_malformed",
}


def code_of(failure: Failure) -> str:
    """Return the stable code of an upstream's failure."""
    return _CODES.get(failure, "upstream_error")


class AttemptFailed(Exception):
    """A deployment did not serve the call.

    Attributes:
        failure: Its class.
        message: The upstream's words or ours, without secrets.
        status: The upstream's HTTP status; 0 where none came.
        retry_after: Seconds, where it said so.
        retryable: Whether the same deployment may be asked again.
    """

    def __init__(
        self,
        failure: Failure,
        message: str,
        *,
        status: int = 0,
        retry_after: float | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message)
        self.failure: Failure = failure
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable


async def read_all(answer: Answer, most: int) -> bytes:
    """Return what comes, as far as a little beyond the most that is wanted."""
    pieces: list[bytes] = []
    size = 0
    while size <= most and (piece := await answer.read()) is not None:
        pieces.append(piece)
        size += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def refused_by(step: Step, answer: Answer) -> AttemptFailed:
    """Return the failure of an attempt whose upstream said no."""
    body = await read_all(answer, _LONGEST_REFUSAL)
    refused = step.deployment.provider.refused(answer.status, answer.headers, body)
    return AttemptFailed(
        refused.failure,
        refused.message,
        status=answer.status,
        retry_after=refused.retry_after,
        retryable=refused.retryable,
    )


def told_error(step: Step, words: str, status: int = 0) -> AttemptFailed:
    """Return the failure of an attempt whose upstream reported an error inside its stream."""
    body = msgspec.json.encode({"error": {"message": words}})
    refused = step.deployment.provider.refused(500, {}, body)
    return AttemptFailed(refused.failure, refused.message, status=status, retryable=refused.retryable)
