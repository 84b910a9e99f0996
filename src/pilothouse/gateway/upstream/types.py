"""Nouns of the way to a deployment: an answer that is still coming, and a fault on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.gateway.types import Failure


class Answer(Protocol):
    """An answer whose head has come; its body is read piece by piece.

    Attributes:
        status: The HTTP status.
        content_type: As the upstream tells it; empty where it does not.
    """

    status: int
    content_type: str

    @property
    def headers(self) -> Mapping[str, str]:
        """Those that somebody may want to read, by lower-case names."""
        ...

    async def read(self) -> bytes | None:
        """Return the next piece, or None at the end.

        Raises:
            UpstreamFault: when the answer breaks off, or is not as long as it said.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the answer, read or not; closing twice does nothing."""
        ...


class Transport(Protocol):
    """One way to deployments, such as HTTP or a model in this process."""

    async def open(self, outgoing: Outgoing, *, connect: float, whole: bool, patience: float | None = None) -> Answer:
        """Send a request and return when the answer's head has come.

        Args:
            outgoing: The request.
            connect: Seconds until a connection must stand.
            whole: Whether the answer will be read to its end before anything is done with it.
            patience: Seconds after which nobody waits for a whole answer any more; None for ever.

        Raises:
            UpstreamFault: when no answer comes.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


class UpstreamFault(Exception):
    """No answer, or half of one.

    Attributes:
        failure: Its class.
        message: What happened, without secrets.
    """

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure: Failure = failure
        self.message = message
