"""Cross-entropy of a text from the log probabilities of its tokens, as models report them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pilothouse.core.errors import DataError

UNKNOWN: Final = -9999.0
"""What OpenAI writes for a token that is not among the likeliest: no probability."""

_ROUNDING = 1e-4


def token_logprobs(told: Any) -> list[float | None]:
    """Return the natural logarithm of each token's probability; None for a token that has none.

    Args:
        told: ``{"content": [{"logprob": ...}, ...]}`` of a chat, ``{"token_logprobs": [...]}`` of a completion, the
            list inside of either, or a list of numbers. The first token of a repeated prompt has none.

    Raises:
        DataError: for anything else, and for a probability above 1.
    """
    if isinstance(told, Mapping):
        fields = cast("Mapping[str, Any]", told)
        told = fields.get("content", fields.get("token_logprobs", told))
    if not isinstance(told, list | tuple):
        raise DataError(
            f"the log probabilities are {type(told).__name__}",
            expected='a list of numbers, {"content": [{"logprob": -0.1}]} or {"token_logprobs": [-0.1]}',
        )
    return [_number(item) for item in cast("Sequence[Any]", told)]


def _number(item: Any) -> float | None:
    if isinstance(item, Mapping):
        item = cast("Mapping[str, Any]", item).get("logprob")
    if item is None:
        return None
    if isinstance(item, bool) or not isinstance(item, int | float) or math.isnan(item) or item > _ROUNDING:
        raise DataError(f"a log probability is {item!r}", expected="a number of at most 0")
    return min(float(item), 0.0) if item > UNKNOWN else None
