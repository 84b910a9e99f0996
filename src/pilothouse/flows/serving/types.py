"""Where and how a flow is served."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from pilothouse.access.origins import is_loopback
from pilothouse.models.secret import Secret


class Site(Struct, frozen=True, kw_only=True):
    """What the one who starts a server decides.

    Attributes:
        host: Address to listen on.
        port: Its port; 0 for a free one.
        is_opened: Whether the page is opened in a browser.
        key: What clients must show; None where everybody is let in.
        origins: Pages of other sites that may call it; ``*`` for all.
        hosts: Names beside those of this machine by which a server without a key may be called on the loopback.
        included: Outputs that are answered; None for all but those for evaluation only.
        build: Text about the build, which `/version` shows.
        say: Where a line about each request goes.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    is_opened: bool = False
    key: Secret | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    included: tuple[str, ...] | None = None
    build: str = ""
    say: Callable[[str], None] | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)
