"""Nouns of limits: what a call asks for, what was set aside for it."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from pilothouse.gateway.types import Tenant


class Ask(Struct, frozen=True, kw_only=True):
    """What a call may use at most.

    Attributes:
        call_id: Unique.
        tenant: Who pays.
        key_name: The key's name, which rules may match besides its id.
        route: The route's name.
        tokens: An estimate of input and output, for limits on the rate.
        cost: An upper bound in nano-dollars, for money; None where the price is not known.
        at_ns: When.
    """

    call_id: str
    tenant: Tenant
    key_name: str = ""
    route: str = ""
    tokens: int = 0
    cost: int | None = None
    at_ns: int


class Applied(Struct, frozen=True, kw_only=True):
    """Which kinds of limits hold for a call: what need not be known need not be computed.

    Attributes:
        requests: Calls are limited.
        tokens: Tokens are limited.
        money: Money is limited.
        concurrency: Calls at once are limited.
    """

    requests: bool = False
    tokens: bool = False
    money: bool = False
    concurrency: bool = False


class Reservation(Protocol):
    """What was set aside for one call; settled exactly once, whatever becomes of the call.

    Attributes:
        tokens: Set aside, extensions included.
        cost: Set aside in nano-dollars, extensions included.
        warnings: Names of rules that have reached their warning share, or would refuse but are in shadow mode.
    """

    tokens: int
    cost: int
    warnings: tuple[str, ...]


class Limiter(Protocol):
    """Keeps the limits of one configuration; what was counted outlives a change of the configuration."""

    def applied(self, tenant: Tenant, key_name: str, route: str) -> Applied | None:
        """Return what holds for a caller; None for no limit at all. Quick: remembered for each caller and route."""
        ...

    async def reserve(self, ask: Ask) -> Reservation:
        """Set aside what a call may use.

        Raises:
            Refusal: ``rate_limit_exceeded``, ``concurrency_exceeded``, ``budget_exceeded`` (with ``retry_after``),
                ``unknown_price``, or ``limits_unavailable`` when the shared counters cannot be reached.
        """
        ...

    async def extend(self, reservation: Reservation, *, tokens: int, cost: int) -> bool:
        """Set more aside inside a call; False where the limit does not allow it: the call must be cut."""
        ...

    async def settle(self, reservation: Reservation, *, tokens: int, cost: int | None) -> None:
        """Replace what was set aside by what was used; settling twice does nothing.

        Never raises: what cannot be told to the shared counters now is told as soon as they are back.

        Args:
            reservation: What was set aside.
            tokens: Used, input and output; 0 for a call that nothing was delivered of.
            cost: Nano-dollars; None where it is not known: then what was set aside is taken as spent.
        """
        ...


class LimitState(Struct, frozen=True, kw_only=True):
    """Where one count stands.

    Attributes:
        rule: The rule's name.
        resource: What is counted.
        value: Whose count; empty where all that the rule matches count together.
        used: Calls, tokens or nano-dollars.
        held: Set aside for calls in flight.
        limit: The most that both may be.
        ends_ns: When the calendar window ends; None for rolling windows, calls at once, and no end.
        enforced: Whether the rule refuses.
    """

    rule: str
    resource: Literal["requests", "tokens", "dollars", "concurrency"]
    value: str
    used: int
    held: int
    limit: int
    ends_ns: int | None = None
    enforced: bool = True
