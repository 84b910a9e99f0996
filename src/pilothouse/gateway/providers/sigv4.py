"""Amazon's signature of a request, version 4: the day's key is derived once, a request costs a few hashes."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlsplit

from pilothouse.gateway.providers.forms import Headers
from pilothouse.models.secret import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Keys:
    """A pair of keys, with the token of a session where it has one.

    Args:
        access: Names the pair.
        secret: Signs.
        token: Of the session; empty for keys that last.
    """

    __slots__ = ("_day", "_derived", "_scope", "_secret", "access", "token")

    def __init__(self, access: str, secret: Secret, token: Secret | None) -> None:
        self.access = access
        self.token = token
        self._secret = secret
        self._scope = ""
        self._day = ""
        self._derived = b""

    def derived(self, day: str, region: str, service: str) -> bytes:
        """Return the key of a day (``20261121``), region and service."""
        scope = f"{region}/{service}"
        if (day, scope) != (self._day, self._scope):
            key = f"AWS4{self._secret.reveal()}".encode()
            for part in (day, region, service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._scope, self._derived = day, scope, key
        return self._derived


def sign(keys: Keys, url: str, body: bytes, *, region: str, service: str, at: datetime) -> Headers:
    """Return the headers that sign a POST of JSON.

    Args:
        keys: The pair.
        url: Without a query.
        body: What is sent.
        region: Of the service.
        service: By the name that requests are signed for.
        at: Now; Amazon refuses what is more than some minutes off.
    """
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    day = stamp[:8]
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    token = keys.token
    names = "content-type;host;x-amz-date;x-amz-security-token" if token else "content-type;host;x-amz-date"
    shown = f"content-type:application/json\nhost:{host}\nx-amz-date:{stamp}\n"
    if token:
        shown += f"x-amz-security-token:{token.reveal()}\n"
    # The path is escaped once more, as for all services but S3.
    canonical = f"POST\n{quote(parts.path, safe='/~')}\n\n{shown}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(keys.derived(day, region, service), text.encode(), "sha256").hex()
    proof = f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers: Headers = (("x-amz-date", stamp), ("authorization", Secret(proof)))
    return (*headers, ("x-amz-security-token", token)) if token else headers
