"""The decorator that makes a function a tool: what a `python` node runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from msgspec import Struct

F = TypeVar("F", bound=Callable[..., Any])

ATTRIBUTE = "__pilothouse_tool__"


class ToolInfo(Struct, frozen=True, kw_only=True):
    """What the decorator was told."""

    name: str | None = None
    description: str | None = None
    type: str | None = None
    input_settings: dict[str, Any] | None = None
    streaming_option_parameter: str | None = None


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    type: str | None = None,
    input_settings: dict[str, Any] | None = None,
    streaming_option_parameter: str | None = None,
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    type: str | None = None,  # noqa: A002 - prompt flow's name for it
    input_settings: dict[str, Any] | None = None,
    streaming_option_parameter: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as the tool of its file; the function itself is not changed.

    Args:
        function: Sync, async, a generator or an async generator.
        name: A name for people.
        description: What it does.
        type: Prompt flow's tool type.
        input_settings: Prompt flow's hints for its editor; kept, not read.
        streaming_option_parameter: The parameter that makes the tool stream.

    Example:
        >>> @tool
        ... def shout(text: str) -> str:
        ...     return text.upper()
    """
    info = ToolInfo(
        name=name,
        description=description,
        type=type,
        input_settings=input_settings,
        streaming_option_parameter=streaming_option_parameter,
    )

    def mark(target: F) -> F:
        setattr(target, ATTRIBUTE, info)
        return target

    return mark if function is None else mark(function)
