"""Who may see the pages, who they are, and whether a form is one of ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from pilothouse.experiments.annotation.web.types import Desk

NAME: Final = "pilothouse_reviewer"
ENTRY: Final = "pilothouse_entry"
TOKEN: Final = "token"  # noqa: S105 - the name of a parameter
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class Refused(Exception):
    """A request that is not answered; ``status`` and words for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Doors:
    """Signs what browsers keep, and refuses what comes from elsewhere.

    The signing key lives as long as the process: after a restart everybody says who they are again.

    Args:
        desk: What is served to whom.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._key = secrets.token_bytes(32)
        self._hosts = _HERE | {desk.host.lower()} | {name.lower() for name in desk.hosts}

    def check(self, headers: Headers) -> None:
        """Refuse a request under a foreign name, and one that a page of another site makes.

        Raises:
            Refused: 403.
        """
        host = headers.get("host", "")
        if self._desk.is_local and _host_name(host) not in self._hosts:
            raise Refused(403, "this server is not called so; allow the name with --allow-host")
        origin = headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            raise Refused(403, "pages of other sites may not call this server")

    def has_entered(self, request: Request) -> bool:
        """Return whether a browser has shown the token, where one is wanted."""
        return self._desk.token is None or self._signed("entry", request.cookies.get(ENTRY, "")) is not None

    def enter(self, request: Request, response: Response) -> bool:
        """Let a browser in that shows the token; return whether it does."""
        token, shown = self._desk.token, request.query_params.get(TOKEN, "")
        if token is None or not hmac.compare_digest(shown.encode("utf-8", "replace"), token.reveal().encode()):
            return False
        self._set(response, ENTRY, self._sign("entry", "1"))
        return True

    def reviewer(self, request: Request) -> str | None:
        """Return who asks; None where they have not said."""
        if self._desk.reviewer is not None:
            return self._desk.reviewer
        return self._signed("name", request.cookies.get(NAME, ""))

    def remember(self, response: Response, name: str) -> None:
        """Let a browser remember who uses it."""
        self._set(response, NAME, self._sign("name", name))

    def forget(self, response: Response) -> None:
        """Let a browser forget who used it."""
        response.delete_cookie(NAME, path="/", httponly=True, samesite="strict")

    def form_key(self, reviewer: str | None) -> str:
        """Return what our forms carry and those of others cannot know."""
        return self._sign("form", reviewer or "").rpartition(".")[2]

    def check_form(self, reviewer: str | None, given: str) -> None:
        """Refuse a form that is not ours.

        Raises:
            Refused: 403.
        """
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.form_key(reviewer).encode()):
            raise Refused(403, "this form is out of date: go back to the start and answer again")

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", httponly=True, samesite="strict")

    def _sign(self, purpose: str, text: str) -> str:
        mark = hmac.new(self._key, f"{purpose}\0{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        return f"{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.{mark}"

    def _signed(self, purpose: str, value: str) -> str | None:
        packed = value.partition(".")[0]
        try:
            text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        right = hmac.compare_digest(self._sign(purpose, text).encode(), value.encode("utf-8", "replace"))
        return text if right else None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
