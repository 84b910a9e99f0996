"""Whether a request shows what a deployment asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pilothouse.gateway.routing.types import RoutingRequest
from pilothouse.gateway.settings import Condition

TENANT_PARTS: Final = ("organisation", "team", "user", "use_case")
"""What ``tenant`` in a condition may name."""


def unmet(condition: Condition, request: RoutingRequest) -> str:
    """Return the first part of a condition that a request does not show, in words; empty where all hold."""
    if condition.stream is not None and condition.stream != request.stream:
        return f"stream is not {str(condition.stream).lower()}"
    if condition.tools is not None and condition.tools != request.tools:
        return f"tools is not {str(condition.tools).lower()}"
    if condition.most_bytes is not None and request.size > condition.most_bytes:
        return f"the body is longer than {condition.most_bytes} bytes"
    for part, wanted in condition.tenant.items():
        if not _fits(wanted, getattr(request.tenant, part, "")):
            return f"tenant.{part} is not {wanted!r}"
    return _unlike("header", condition.headers, request.headers) or _unlike(
        "metadata", condition.metadata, request.metadata
    )


def _unlike(what: str, wanted: Mapping[str, str], shown: Mapping[str, str]) -> str:
    for name, value in wanted.items():
        key = name.lower() if what == "header" else name
        if not _fits(value, shown.get(key, "")):
            return f"{what} {name} is not {value!r}"
    return ""


def _fits(wanted: str, shown: str) -> bool:
    return bool(shown) if wanted == "*" else shown == wanted
