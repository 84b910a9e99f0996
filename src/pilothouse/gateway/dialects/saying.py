"""What one form says and another cannot.

A request is translated whole or refused in words. Only what steers no answer is left out on the way to a form that
has no word for it:

| left out | by which forms | why it is harmless |
|---|---|---|
| ``store``, ``safety_identifier`` | all but OpenAI's | bookkeeping of that vendor |
| ``prompt_cache_key``, ``prompt_cache_retention`` | all but OpenAI's | its cache alone |
| ``prediction`` | all but OpenAI's chat | it makes the same answer faster |
| ``cache_control`` (``cache`` of parts and tools) | OpenAI's | its cache works by itself |
| ``metadata`` besides the end user's id | Anthropic's | tags; the ledger keeps them |
| ``detail`` of images, ``verbosity`` | Anthropic's | a wish about size |
| ``name`` of a message | Responses, Anthropic's | the role is told |
| ``is_error`` of a tool's result | OpenAI's | the result itself says what failed |
| thoughts without this vendor's signature | all | no vendor takes another's |
| ``context_management``, ``diagnostics`` | OpenAI's | the context stays whole |
| place of a ``system`` message inside a conversation | Anthropic's, Google's, Amazon's | all of them are told first |
| ``user``, ``metadata``, ``service_tier``, ``verbosity`` | Google's, Amazon's, Cohere's | tags and wishes |
"""

from __future__ import annotations

from typing import Any, Final

from pilothouse.models.types import ChatRequest

HARMLESS: Final = frozenset(
    {
        "store",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "prediction",
        "cache_control",
        "context_management",
        "diagnostics",
        "stream",
        "stream_options",
    }
)
"""Further keys of a request that a form without a word for them may leave out."""

_EFFORTS: Final = ((2048, "low"), (16_384, "medium"))


def unsaid(
    form: str, field: str, advice: str = "leave it out, or use a model that is served in that form"
) -> ValueError:
    """Return the error for a field that a form has no word for."""
    return ValueError(f"`{field}` cannot be said in the form of {form}: {advice}")


def refuse_extra(extra: dict[str, Any], form: str) -> None:
    """Refuse further keys that steer the answer.

    Raises:
        ValueError: naming the first.
    """
    for key, value in extra.items():
        if key not in HARMLESS and value is not None:
            raise unsaid(form, key)


def refuse_fields(request: ChatRequest, fields: tuple[str, ...], form: str) -> None:
    """Refuse fields that a form has no word for, unless they say what holds without them.

    Raises:
        ValueError: naming the first.
    """
    for field in fields:
        value = getattr(request, field)
        if value is None or value is False or value in ({}, (), []):
            continue
        if field in {"presence_penalty", "frequency_penalty", "top_logprobs"} and value == 0:
            continue
        if (field == "n" and value == 1) or (field == "modalities" and value == ("text",)):
            continue
        raise unsaid(form, field)


def effort_of(request: ChatRequest) -> str | None:
    """Return how hard to think in OpenAI's words; a budget of tokens becomes the nearest of them."""
    reasoning = request.reasoning
    if reasoning is None:
        return None
    if reasoning.effort is not None:
        return "xhigh" if reasoning.effort == "max" else reasoning.effort
    if not reasoning.budget:
        return None
    return next((effort for most, effort in _EFFORTS if reasoning.budget <= most), "high")
