"""Tokens of a trace, each counted once: a call of a model through a gateway is told by both of its ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """What of a span its trace's tokens depend on.

    Attributes:
        span_id: Its id.
        parent_id: Its parent's; None for a root.
        answers: Whether it is the answering end of a call (kind ``server``).
        input_tokens: None where it tells none.
        output_tokens: The same.
    """

    span_id: str
    parent_id: str | None
    answers: bool
    input_tokens: int | None
    output_tokens: int | None


def spent(places: Sequence[Place]) -> tuple[int, int]:
    """Return the input and output tokens of a trace.

    The answering end of a call counts where nobody above it in the trace tells tokens: else the asking end told them.
    """
    told = {place.span_id for place in places if place.input_tokens or place.output_tokens}
    parents = {place.span_id: place.parent_id for place in places}
    counted = [place for place in places if not (place.answers and _is_under(place.span_id, told, parents))]
    return sum(place.input_tokens or 0 for place in counted), sum(place.output_tokens or 0 for place in counted)


def _is_under(span_id: str, told: set[str], parents: dict[str, str | None]) -> bool:
    seen = {span_id}
    above = parents[span_id]
    # Hostile ids may form a circle.
    while above is not None and above not in seen:
        if above in told:
            return True
        seen.add(above)
        above = parents.get(above)
    return False
