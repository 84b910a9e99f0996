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


def register(target: Any) -> Any:
    """Return a class or function of tools as it is: there is no registry of them here."""
    return target


def enable_cache(*_: Any, **__: Any) -> Any:
    """Return a decorator that changes nothing, as in prompt flow; ``enable_cache: true`` of a node is what counts."""
    return register


class InputSetting:
    """Hints for the form of an input; kept as attributes, not read.

    Args:
        hints: Prompt flow's names for them; those that it knows and that are not given are None.
    """

    _KNOWN = ("is_multi_select", "allow_manual_entry", "enabled_by", "enabled_by_value", "dynamic_list", "generated_by")

    def __init__(self, **hints: Any) -> None:
        vars(self).update({**dict.fromkeys(self._KNOWN), **hints})


@dataclass
class DynamicList:
    """Where a form takes the choices of an input from; kept, not read."""

    function: str | Callable[..., Any]
    input_mapping: dict[str, str] = field(default_factory=dict[str, str])
