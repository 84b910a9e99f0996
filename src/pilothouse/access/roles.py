"""What each role may do: one closed table, the same at every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Role = Literal["caller", "viewer", "operator", "admin"]
"""``caller`` calls models; ``viewer`` reads; ``operator`` also changes traffic and limits; ``admin`` also keys."""

Action = Literal[
    "call",
    "feedback",
    "explain",
    "stats.read",
    "routes.read",
    "routes.write",
    "limits.read",
    "limits.write",
    "ledger.read",
    "ledger.write",
    "replay",
    "keys.read",
    "keys.write",
    "audit.read",
]
"""All that can be done through a door. ``replay`` calls models again and so costs money."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

_CALLER: Final[frozenset[Action]] = frozenset({"call", "feedback"})
_VIEWER: Final[frozenset[Action]] = frozenset(
    {"explain", "stats.read", "routes.read", "limits.read", "ledger.read", "keys.read"}
)
_OPERATOR: Final[frozenset[Action]] = (
    _CALLER | _VIEWER | frozenset[Action]({"routes.write", "limits.write", "ledger.write", "replay"})
)

ALLOWED: Final[Mapping[str, frozenset[Action]]] = {
    "caller": _CALLER,
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "admin": frozenset(ACTIONS),
}

NARROWED: Final[frozenset[Action]] = frozenset(
    {"call", "feedback", "explain", "stats.read", "ledger.read", "keys.read", "keys.write"}
)
"""What a key that belongs to an organisation may do, within that organisation; the rest concerns everybody."""


def allows(role: str, action: str, *, organisation: str = "") -> bool:
    """Return whether a role may do something; what is not in the table may not be done.

    Args:
        role: A role's name; an unknown one may do nothing.
        action: An action's name; an unknown one is allowed to nobody.
        organisation: To whom the key belongs; empty for a key of the whole gateway. Whoever belongs to one may only
            do what can be narrowed to it; narrowing is the door's duty.
    """
    return action in ALLOWED.get(role, ()) and (not organisation or action in NARROWED)
