"""Nouns of guards: what they look at and what they say."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from pilothouse.gateway.types import Tenant, Wire

Stage = Literal["before", "beside", "after", "stream"]


class Subject(Struct, frozen=True, kw_only=True):
    """What a guard looks at.

    Attributes:
        stage: ``before`` and ``beside``: the request's texts; ``after``: the answer's; ``stream``: the window so far.
        texts: In the order of the body.
        tenant: Who calls.
        route: The model name.
        call_id: The call.
    """

    stage: Stage
    texts: tuple[str, ...]
    tenant: Tenant
    route: str
    call_id: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What a guard says.

    Attributes:
        action: ``allow`` the texts, ``replace`` them, or ``block`` the call.
        texts: For ``replace``: as many as were looked at.
        reason: For ``block``: for the client, without quoting what was found.
        findings: What was found, kind to count.
    """

    action: Literal["allow", "replace", "block"] = "allow"
    texts: tuple[str, ...] = ()
    reason: str = ""
    findings: dict[str, int] = {}


class Guard(Protocol):
    """Looks at texts. A plug-in of the group `pilothouse.guards` is called with its options and returns one.

    Attributes:
        stages: Where it can look.
        window: In a stream: characters that it must see together; so many are held back at most.
    """

    stages: frozenset[Stage]
    window: int

    async def check(self, subject: Subject) -> Verdict:
        """Look.

        Raises:
            Exception: counts as no verdict: the call is refused unless the configuration lets it pass.
        """
        ...


class GuardContext(Struct, frozen=True, kw_only=True):
    """The call a pipeline looks at."""

    wire: Wire
    tenant: Tenant
    route: str
    call_id: str
