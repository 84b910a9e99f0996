"""What the plane asks of prices, guards, caches and captures; their rooms offer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pilothouse.gateway.guards.types import GuardContext
from pilothouse.gateway.settings import CaptureSettings
from pilothouse.models.types import Usage


class Rate(Protocol):
    """The price of one model at one moment."""

    @property
    def id(self) -> str:
        """Which price: ``source@date``."""
        ...

    def cost(self, usage: Usage) -> int | None:
        """Return nano-dollars; None where a kind of what was used has no price."""
        ...

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Return the most that so many tokens can cost, in nano-dollars."""
        ...


class Rates(Protocol):
    """The prices."""

    def rate(self, provider: str, model: str, at_ns: int) -> Rate | None:
        """Return a price; None where none is known."""
        ...


class Looked(Protocol):
    """What guards left of a body, and what they found: kind to count."""

    @property
    def body(self) -> bytes:
        """The body they left."""
        ...

    @property
    def findings(self) -> Mapping[str, int]:
        """What they found."""
        ...


class GuardedStream(Protocol):
    """What guards do with one stream."""

    @property
    def findings(self) -> Mapping[str, int]:
        """What they found."""
        ...

    async def feed(self, data: bytes) -> bytes:
        """Return what may be sent now; raises ``Refusal`` where the answer is blocked."""
        ...

    async def finish(self) -> bytes:
        """Return what was held back."""
        ...


class Guards(Protocol):
    """The guards of one route."""

    @property
    def has_before(self) -> bool:
        """Whether one looks at requests before they are sent."""
        ...

    @property
    def has_beside(self) -> bool:
        """Whether one looks at requests while they are answered."""
        ...

    @property
    def has_after(self) -> bool:
        """Whether one looks at whole answers."""
        ...

    @property
    def has_stream(self) -> bool:
        """Whether one looks into streams."""
        ...

    async def before(self, body: bytes, context: GuardContext) -> Looked:
        """Look at a request before it is sent; raises ``Refusal``."""
        ...

    async def beside(self, body: bytes, context: GuardContext) -> Looked:
        """Look at a request while it is being answered; raises ``Refusal``."""
        ...

    async def after(self, body: bytes, context: GuardContext) -> Looked:
        """Look at a whole answer; raises ``Refusal``."""
        ...

    def stream(self, context: GuardContext) -> GuardedStream:
        """Return what looks at one stream."""
        ...


class Recorder(Protocol):
    """Records payloads by policy; what does not fit is dropped and counted."""

    def record(self, call_id: str, policy: CaptureSettings, request: bytes, answer: bytes) -> None:
        """Take in one call's payloads."""
        ...
