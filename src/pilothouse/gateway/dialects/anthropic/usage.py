"""Usage as Anthropic reports it, where cached and written tokens stand beside the input, not in it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from pilothouse.models.types import Usage


class _Creation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Details(Struct):
    thinking_tokens: int | None = None


class WireUsage(Struct):
    """Counts of one answer, or of one event: what an event leaves out holds from an earlier one."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _Creation | None = None
    output_tokens_details: _Details | None = None

    def after(self, earlier: WireUsage | None) -> WireUsage:
        """Return the counts of both, the later ones where both say something: they are totals, never added."""
        if earlier is None:
            return self
        names = self.__struct_fields__
        return WireUsage(
            **{name: getattr(earlier, name) if getattr(self, name) is None else getattr(self, name) for name in names}
        )

    def usage(self) -> Usage:
        """Return it as a noun: the parts inside their whole."""
        read = self.cache_read_input_tokens or 0
        written = self.cache_creation_input_tokens or 0
        creation = self.cache_creation or _Creation()
        long = creation.ephemeral_1h_input_tokens or 0
        written = max(written, long + (creation.ephemeral_5m_input_tokens or 0))
        return Usage(
            input_tokens=(self.input_tokens or 0) + read + written,
            output_tokens=self.output_tokens or 0,
            cached_input_tokens=read,
            reasoning_tokens=(self.output_tokens_details or _Details()).thinking_tokens or 0,
            cache_write_tokens=written - long,
            cache_write_long_tokens=long,
        )


def usage_body(usage: Usage | None) -> dict[str, Any]:
    """Return usage as this form reports it; zeros where it is not known, for the form must say something."""
    usage = usage or Usage()
    written = usage.cache_write_tokens + usage.cache_write_long_tokens
    body: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - usage.cached_input_tokens - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if written:
        body["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_long_tokens,
        }
    if usage.reasoning_tokens:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return body
