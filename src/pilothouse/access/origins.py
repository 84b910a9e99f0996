"""Pages of other sites: a server on the loopback can be reached by every page that its user looks at."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

HERE: Final = frozenset({"localhost", "127.0.0.1", "::1", ""})
"""What this machine is called in the header `Host`; empty for a client that sends none, which no browser does."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens on ``host``."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def is_named(host: str, names: Collection[str]) -> bool:
    """Return whether the header `Host` holds one of ``names``, whatever its port.

    A name that only resolves to this machine is how a page of another site gets past the browser's own rule.
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() in names


def is_foreign(origin: str | None, host: str, allowed: Collection[str] = ()) -> bool:
    """Return whether a request was made by a page of another site than the one it asks.

    Args:
        origin: The header `Origin`; None where there is none.
        host: The header `Host`.
        allowed: Origins that may ask; ``*`` for all.
    """
    if not origin or "*" in allowed or origin in allowed:
        return False
    return urlsplit(origin).netloc != host
