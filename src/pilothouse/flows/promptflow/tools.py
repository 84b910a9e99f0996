"""Prompt flow's decorator and base class of tools, and the hints for its editor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pilothouse.flows import tool as ours


def tool(function: Callable[..., Any] | None = None, /, *, func: Callable[..., Any] | None = None, **told: Any) -> Any:
    """Mark a function as a tool: `pilothouse.tool`, which also takes prompt flow's free keywords such as ``icon``."""
    known = {name: value for name, value in told.items() if name in ours.ToolInfo.__struct_fields__}
    mark = ours.tool(**known)
    target = function or func
    return mark if target is None else mark(target)


class ToolProvider:
    """Base of a class whose method is the tool; the inputs of its constructor are inputs of the node."""

    def __init__(self) -> None:
        """Take nothing."""


@dataclass
class InputSetting:
    """Hints for the form of an input; kept, not read."""

    is_multi_select: bool | None = None
    allow_manual_entry: bool | None = None
    enabled_by: str | None = None
    enabled_by_value: list[Any] | None = None
    enabled_by_type: list[str] | None = None
    dynamic_list: Any = None
    generated_by: Any = None
    ui_hints: dict[str, Any] | None = None


@dataclass
class DynamicList:
    """Where a form takes the choices of an input from; kept, not read."""

    function: str | Callable[..., Any]
    input_mapping: dict[str, str] = field(default_factory=dict[str, str])
