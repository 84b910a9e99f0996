"""Prompt flow's exceptions, for tools that raise or catch them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class ErrorCategory(StrEnum):
    """Whose error it is."""

    USER_ERROR = "UserError"
    SYSTEM_ERROR = "SystemError"


class ErrorTarget(StrEnum):
    """Where prompt flow says that an error comes from."""

    EXECUTOR = "Executor"
    BATCH = "Batch"
    FLOW_EXECUTOR = "FlowExecutor"
    NODE_EXECUTOR = "NodeExecutor"
    TOOL = "Tool"
    CONTROL_PLANE_SDK = "ControlPlaneSDK"
    CORE = "Core"
    SERVING_APP = "ServingApp"
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


class RunNotFoundError(UserErrorException):
    """There is no run of the name."""


class RunExistsError(UserErrorException):
    """There is a run of the name already."""


class InvalidRunStatusError(UserErrorException):
    """The run has not ended as it must have."""


class RunOperationParameterError(UserErrorException):
    """A verb on runs was given something that it does not take."""


class ConnectionNotFoundError(UserErrorException):
    """There is no connection of the name."""


class ToolValidationError(UserErrorException):
    """A built-in tool was given something that it does not take."""


class LLMError(UserErrorException):
    """A model failed."""


class WrappedOpenAIError(LLMError):
    """A model's provider refused a request."""


class ExceedMaxRetryTimes(WrappedOpenAIError):
    """A model's provider refused a request too often."""


class InvalidConnectionType(ToolValidationError):
    """A built-in tool was given a connection of another type."""


class JinjaTemplateError(ToolValidationError):
    """A template cannot be rendered."""


class ChatAPIInvalidRole(ToolValidationError):
    """A prompt begins with no role."""


class ChatAPIFunctionRoleInvalidFormat(ToolValidationError):
    """A function message has no name."""


class ChatAPIToolRoleInvalidFormat(ToolValidationError):
    """A tool message has no id of a call."""


class ChatAPIInvalidFunctions(ToolValidationError):
    """The functions, or the choice among them, are not what the API takes."""


class ChatAPIInvalidTools(ToolValidationError):
    """The tools, or the choice among them, are not what the API takes."""


class FunctionCallNotSupportedInStreamMode(ToolValidationError):
    """Calls of functions do not come in pieces."""


class SerpAPIUserError(UserErrorException):
    """Serp API refused a search."""


class SerpAPISystemError(SystemErrorException):
    """Serp API failed."""


class AzureContentSafetyInputValueError(UserErrorException):
    """Content safety was given a threshold that it does not know."""


class AzureContentSafetySystemError(SystemErrorException):
    """Content safety failed."""


class OpenModelLLMUserError(UserErrorException):
    """An open model was given something that it does not take."""


class OpenModelLLMKeyValidationError(ToolValidationError):
    """The connection of an open model lacks a key."""


class OpenModelLLMOnlineEndpointError(UserErrorException):
    """The endpoint of an open model failed."""
