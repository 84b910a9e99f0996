"""Where and for whom a queue is served."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.models.secret import Secret


class Desk(Struct, frozen=True, kw_only=True):
    """What the one who starts the server decides.

    Attributes:
        queue: The queue.
        host: Address to listen on.
        port: Its port; 0 for a free one.
        is_opened: Whether the page is opened in a browser.
        hosts: Names beside those of this machine by which it may be called.
        reviewer: Under whose name everybody labels; None where each gives their own.
        token: What a browser must show once; None on the loopback.
    """

    queue: str
    host: str = "127.0.0.1"
    port: int = 8090
    is_opened: bool = False
    hosts: tuple[str, ...] = ()
    reviewer: str | None = None
    token: Secret | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def with_token(self, token: str) -> Desk:
        """Return the same with a token."""
        return replace(self, token=Secret(token))
