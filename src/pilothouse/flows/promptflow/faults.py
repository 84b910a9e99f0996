"""Prompt flow's exceptions, for tools that raise or catch them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class ErrorTarget(StrEnum):
    """Where prompt flow says that an error comes from."""

    EXECUTOR = "Executor"
    BATCH = "Batch"
    FLOW_EXECUTOR = "FlowExecutor"
    NODE_EXECUTOR = "NodeExecutor"
    TOOL = "Tool"
    UNKNOWN = "Unknown"


class _Values(dict[str, Any]):
    """Keywords of a format string; one that is missing shows its name."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


class PromptflowException(Exception):
    """An error with the place it comes from.

    Args:
        message: What happened; ``message_format`` with its keywords filled in where it is empty, else the name
            of the class.
        target: Where it comes from.
        module: The module it comes from.
        message_format: A format string.
        values: The keywords of ``message_format``.
    """

    def __init__(
        self,
        message: str = "",
        message_format: str = "",
        target: ErrorTarget = ErrorTarget.UNKNOWN,
        module: str | None = None,
        **values: Any,
    ) -> None:
        self.message = message or message_format.format_map(_Values(values)) or type(self).__name__
        self.target = target
        self.module = module
        super().__init__(self.message)


class UserErrorException(PromptflowException):
    """What the user can mend."""


class SystemErrorException(PromptflowException):
    """What the user cannot mend."""


class ValidationException(UserErrorException):
    """Something that is not as it must be."""
