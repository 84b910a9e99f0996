"""What was set aside for one call in the shared counters."""

from __future__ import annotations

from pilothouse.gateway.limits.shared.script import Packed
from pilothouse.gateway.limits.types import Ask


class SharedReservation:
    """See `Reservation`.

    Attributes:
        call_id: The call's id.
        tokens: Set aside, extensions included.
        cost: Set aside in nano-dollars, extensions included.
        warnings: Names of rules that are nearly used up, or would refuse.
        packed: Its rules; None where none holds, or none could be asked and none refuses.
        open: Whether it is still to be settled.
    """

    __slots__ = ("call_id", "cost", "open", "packed", "tokens", "warnings")

    def __init__(self, ask: Ask, packed: Packed | None, warnings: tuple[str, ...] = ()) -> None:
        self.call_id = ask.call_id
        self.tokens = ask.tokens
        self.cost = ask.cost or 0
        self.warnings = warnings
        self.packed = packed
        self.open = True

    def record(self) -> bytes:
        """Return it as the server keeps it."""
        blob = b"" if self.packed is None else self.packed.blob
        return b"%d:%d:%b" % (self.tokens, self.cost, blob)
