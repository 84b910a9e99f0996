"""Who asks, and whether they may: looked up anew for every request, so that no right outlives its end."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from starlette.datastructures import Headers

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import Acting
from pilothouse.access.origins import HERE, is_foreign, is_loopback, is_named
from pilothouse.access.roles import Action, allows
from pilothouse.access.types import Actor
from pilothouse.core.services import Services
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.server.problems import Problem

_ASK: Final = {"www-authenticate": 'Bearer realm="pilothouse"'}
_FIX: Final = "Authorization: Bearer ph-..."


class Caller(Struct, frozen=True, kw_only=True):
    """Somebody whose key was recognised, or who sits at this machine.

    Attributes:
        acting: As records name them.
        role: What they may do.
        organisation: What they are confined to; empty for everything.
    """

    acting: Acting
    role: str
    organisation: str = ""

    def may(self, action: Action) -> bool:
        """Return whether they may do something."""
        return allows(self.role, action, organisation=self.organisation)


class Authority:
    """Recognises who asks.

    Without keys the API is open to this machine alone, and then pages of other sites, which reach it through the
    browser of whoever looks at them, are refused.

    Args:
        services: The project.
        host: The address the server listens on.
    """

    def __init__(self, services: Services, host: str) -> None:
        self._keys = services.get(KeyService)
        self._local = services.get(Actor)
        self._access = services.settings.section(GatewaySettings).access
        self._host = host

    def caller(self, headers: Headers, client: str) -> Caller:
        """Return who asks.

        Args:
            headers: Of the request.
            client: The address it came from; empty where it is not known.

        Raises:
            Problem: 401 without a key that opens, 403 for strangers where no keys are wanted.
            StorageError: when the keys cannot be read: nobody is let in.
        """
        if is_foreign(headers.get("origin"), headers.get("host", "")):
            raise Problem(403, "foreign_origin", f"pages of {headers['origin']} may not call this server")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if not token and self._is_open():
            return self._neighbour(headers, client)
        if scheme.lower() != "bearer" or not token:
            raise Problem(401, "missing_api_key", "this API wants a key", fix=_FIX, headers=_ASK)
        found = self._keys.recognise(token)
        if found is None:
            raise Problem(401, "invalid_api_key", "this key is not known", fix=_FIX, headers=_ASK)
        key, is_open = found
        if not is_open:
            ended = "was revoked" if key.revoked_at is not None else "has expired"
            code = "key_revoked" if key.revoked_at is not None else "key_expired"
            raise Problem(401, code, f"this key {ended}", fix="ask an administrator for another", headers=_ASK)
        acting = Acting(actor=Actor(name=key.name, kind="service"), key=key.id)
        return Caller(acting=acting, role=key.role, organisation=key.organisation)

    def _is_open(self) -> bool:
        if self._access == "auto":
            return is_loopback(self._host) and self._keys.revision() == 0
        return self._access == "open"

    def _neighbour(self, headers: Headers, client: str) -> Caller:
        if not is_loopback(self._host) or not is_loopback(client):
            raise Problem(403, "not_local", "without keys this API answers this machine alone", fix="make a key")
        if not is_named(headers.get("host", ""), HERE | {self._host}):
            raise Problem(403, "foreign_host", "this server is called by another name than its own")
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise Problem(403, "foreign_origin", "pages of other sites may not call this server")
        return Caller(acting=Acting(actor=self._local), role="admin")
