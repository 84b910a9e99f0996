"""Who may ask: keys, hosts, and pages of other sites."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from starlette.datastructures import Headers

from pilothouse.access.origins import HERE, is_foreign, is_named
from pilothouse.flows.serving.answers import Problem
from pilothouse.flows.serving.types import Site
from pilothouse.models.secret import Secret

OPEN: Final = frozenset({"/health"})
_ASK = {"www-authenticate": 'Bearer realm="flow", Basic realm="flow", charset="UTF-8"'}


class Guard:
    """Refuses requests before anything of them is read.

    A server on the loopback can be reached by every page that its user looks at. So a request that a page of another
    site makes is refused, and so is one to a name that only pretends to be this machine.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._hosts = HERE | {site.host} | {name.lower() for name in site.hosts}

    def check(self, path: str, headers: Headers) -> None:
        """Refuse what may not ask.

        Raises:
            Problem: 401 or 403.
        """
        if path in OPEN:
            return
        site = self._site
        if site.key is not None:
            if not _shows(headers.get("authorization", ""), site.key):
                raise Problem(401, "this server wants its key: Authorization: Bearer <key>", headers=_ASK)
        elif site.is_local and not is_named(headers.get("host", ""), self._hosts):
            raise Problem(403, f"'{headers.get('host')}' is no name of this server; allow it with --allow-host")
        origin = headers.get("origin")
        if is_foreign(origin, headers.get("host", ""), site.origins):
            raise Problem(403, f"pages of {origin} may not call this server; allow them with --cors {origin}")

    def allows(self, origin: str) -> bool:
        """Return whether pages of another site may call the server."""
        return "*" in self._site.origins or origin in self._site.origins

    def cors(self, headers: Headers) -> dict[str, str]:
        """Return the headers that let the page of another site read an answer."""
        origin = headers.get("origin")
        if not origin or not self.allows(origin):
            return {}
        exposed = "x-request-id, x-trace-id, traceparent, x-input-tokens, x-output-tokens, x-duration-ms"
        return {"access-control-allow-origin": origin, "vary": "origin", "access-control-expose-headers": exposed}

    def preflight(self, headers: Headers) -> dict[str, str]:
        """Return what answers a browser that asks whether a page may call."""
        return {
            **self.cors(headers),
            "access-control-allow-methods": "GET, POST, OPTIONS",
            "access-control-allow-headers": headers.get("access-control-request-headers", "content-type"),
            "access-control-max-age": "600",
        }


def _shows(header: str, key: Secret) -> bool:
    """Return whether a header shows the key; browsers, which know no other way, send it as a password."""
    scheme, _, given = header.partition(" ")
    given = given.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.reveal().encode())
