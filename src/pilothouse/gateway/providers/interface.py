"""What every vendor's file offers: the request to send, and what an answer that says no means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from pilothouse.gateway.types import Dialect, Failure, Wire
from pilothouse.models.secret import Secret


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request as it goes to an upstream.

    Attributes:
        method: HTTP method.
        url: Whole address.
        headers: Lower-case names; secrets stay ``Secret`` until they are sent.
        body: The bytes.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str | Secret], ...]
    body: bytes


class Refused(Struct, frozen=True, kw_only=True):
    """What an upstream's error answer means.

    Attributes:
        failure: Its class; routing decides by it.
        message: The upstream's words, short, without secrets.
        retry_after: Seconds, where it said so.
        retryable: Whether the same deployment may be asked again.
    """

    failure: Failure
    message: str
    retry_after: float | None = None
    retryable: bool = True


class Provider(Protocol):
    """One connection of one vendor, built once for each connection of a configuration.

    Attributes:
        name: By OpenTelemetry's name; prices are looked up by it.
        dialect: Whose errors it speaks.
        slots: Most calls at once that it can serve; None where only it knows.
    """

    name: str
    dialect: Dialect
    slots: int | None

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call that came in the form ``wanted``.

        The same form where the vendor understands it, another to be translated into, None where it cannot serve it.
        """
        ...

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send. Quick and without I/O: a token it needs was fetched by ``prepare``.

        Args:
            wire: The form of ``body``.
            model: The model's name there.
            body: Already spliced or translated.
            stream: Whether the answer is to be streamed.
            headers: The client's headers, of which the vendor may hand on a few (``anthropic-version``,
                ``anthropic-beta``, ``openai-beta``, ``idempotency-key``, ``content-type``).
        """
        ...

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer whose status is not 2xx, or whose body is an error all the same."""
        ...

    async def prepare(self) -> None:
        """Make sure that a token, where one is needed, holds for the next minute; returns at once where none is.

        Raises:
            ModelError: when no token can be had.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what it holds."""
        ...
