"""Nouns of feedback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct


class ArmFeedback(Struct, frozen=True, kw_only=True):
    """What one arm got.

    Attributes:
        count: Feedbacks, one a call.
        total: Sum of their values.
        squares: Sum of their squares.
        successes: Feedbacks that count as success: a value v is one with probability v, drawn from its call's id.
    """

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    successes: int = 0

    @property
    def mean(self) -> float | None:
        """Mean value; None without feedback."""
        return self.total / self.count if self.count else None


class Recorded(Struct, frozen=True, kw_only=True):
    """What became of a feedback.

    Attributes:
        status: ``new``; ``same`` where the call had this value already; ``changed`` where it had another.
        previous: The value before; None where there was none.
    """

    status: Literal["new", "same", "changed"]
    previous: float | None = None


State = Mapping[str, ArmFeedback]
"""Arm to what it got; an arm without feedback may be missing."""
