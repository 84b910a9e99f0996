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


class Edit(Struct, frozen=True, kw_only=True):
    """One change to one text.

    Attributes:
        start: Index of the first character that goes.
        end: Index behind the last one.
        text: What comes in its place.
        kind: What was found there; counted in metrics, so a guard has few of them.
    """

    start: int
    end: int
    text: str
    kind: str = "replaced"


class Verdict(Struct, frozen=True, kw_only=True):
    """What a guard says.

    Attributes:
        action: ``allow`` the texts, ``replace`` them, or ``block`` the call.
        texts: For ``replace``: as many as were looked at.
        edits: For ``replace``, instead of ``texts``: for each text its changes, in order, without overlaps. A stream
            can hand on more, sooner, of a text whose changes it knows one by one.
        reason: For ``block``: for the client, without quoting what was found.
        findings: What was found, kind to count.
    """

    action: Literal["allow", "replace", "block"] = "allow"
    texts: tuple[str, ...] = ()
    edits: tuple[tuple[Edit, ...], ...] = ()
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


class GuardOutcome(Struct, frozen=True, kw_only=True):
    """What a guard did in a call, for the ledger, the span and the metrics.

    Attributes:
        guard: Its name in the configuration.
        stage: When it looked.
        action: What came of it; ``error`` for no verdict where the configuration lets the call pass, ``failed`` where
            it was refused for that.
        findings: Kind to count; of few kinds.
    """

    guard: str
    stage: Stage
    action: Literal["allow", "replace", "block", "error", "failed"]
    findings: dict[str, int] = {}
