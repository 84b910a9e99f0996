"""`promptflow.tools.common`, its part on OpenAI's library: clients of connections, and calls that are tried again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from pilothouse.core.errors import ModelError
from pilothouse.flows.promptflow.connections import (
    AzureOpenAIConnection,
    OpenAIConnection,
    PromptflowConnection,
    ServerlessConnection,
)
from pilothouse.flows.promptflow.faults import (
    ExceedMaxRetryTimes,
    InvalidConnectionType,
    LLMError,
    PromptflowException,
    UserErrorException,
    WrappedOpenAIError,
)

P = ParamSpec("P")
R = TypeVar("R")

_VERSION = "/v1"
_UNPROCESSABLE = 422
_TOO_MANY = 429
_LONGEST_PAUSE = 60.0


def normalize_connection_config(connection: PromptflowConnection) -> dict[str, Any]:
    """Return the arguments of OpenAI's own client for a connection; its own retries are off.

    Raises:
        InvalidConnectionType: for a connection that it cannot use.
    """
    if isinstance(connection, AzureOpenAIConnection):
        sign_in = {"api_key": connection.api_key} if connection.api_key else {
            "azure_ad_token_provider": connection.get_token}  # fmt: skip
        address = {"api_version": connection.api_version, "azure_endpoint": connection.api_base}
        return {"max_retries": 0, **sign_in, **address}
    if isinstance(connection, OpenAIConnection):
        fields = {"organization": connection.organization, "base_url": connection.base_url}
        return {"max_retries": 0, "api_key": connection.api_key, **fields}
    if isinstance(connection, ServerlessConnection):
        base = str(connection.api_base).rstrip("/")
        base = base if base.endswith(_VERSION) else base + _VERSION
        return {"max_retries": 0, "api_key": connection.api_key, "base_url": base}
    raise InvalidConnectionType(
        f"a {type(connection).__name__} is no way to a model; "
        "expected: AzureOpenAIConnection, OpenAIConnection or ServerlessConnection"
    )


def init_openai_client(connection: OpenAIConnection | ServerlessConnection) -> Any:
    """Return a client of OpenAI's own library.

    Raises:
        UserErrorException: when the library is not installed.
    """
    return _library().OpenAI(**normalize_connection_config(connection))


def init_azure_openai_client(connection: AzureOpenAIConnection) -> Any:
    """Return a client of OpenAI's own library for Azure.

    Raises:
        UserErrorException: when the library is not installed.
    """
    return _library().AzureOpenAI(**normalize_connection_config(connection))


def generate_retry_interval(retry_count: int) -> float:
    """Return the seconds to wait before a retry: 3, 4, 6, 10 ... 60."""
    return min(3.0 + 2**retry_count - 1, _LONGEST_PAUSE)


def handle_openai_error(
    tries: int = 100, unprocessable_entity_error_tries: int = 3
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that tries a call of a model again while its provider is busy or down.

    Args:
        tries: How often at most, on 429, 5xx and broken connections.
        unprocessable_entity_error_tries: How often at most, on 422.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            count = 0
            while True:
                try:
                    return function(*args, **kwargs)
                except PromptflowException:
                    raise
                except Exception as error:  # noqa: BLE001 - what is not worth a retry is raised again
                    pause = _pause(error, count, tries, unprocessable_entity_error_tries)
                count += 1
                time.sleep(pause)

        return call

    return decorate


def _pause(error: Exception, count: int, tries: int, unprocessable_tries: int) -> float:
    """Return how long to wait before trying again.

    Raises:
        WrappedOpenAIError: what the provider said, when trying again is of no use.
        LLMError: for any other failure.
    """
    is_library = type(error).__module__.partition(".")[0] == "openai"
    if not is_library and not isinstance(error, ModelError):
        raise LLMError(f"{type(error).__name__}: {error}") from error
    status: int | None = error.status if isinstance(error, ModelError) else getattr(error, "status_code", None)
    is_broken = is_library and status is None and "Connection" in type(error).__name__
    is_worth = is_broken or (status is not None and (status in {_TOO_MANY, _UNPROCESSABLE} or status >= 500))
    if not is_worth:
        raise WrappedOpenAIError(f"{type(error).__name__}: {error}") from error
    if count + 1 >= (unprocessable_tries if status == _UNPROCESSABLE else tries):
        raise ExceedMaxRetryTimes(f"tried {count + 1} times; {type(error).__name__}: {error}") from error
    return generate_retry_interval(count)


def _library() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise UserErrorException(
            "this needs OpenAI's own library: pip install openai; "
            "promptflow.tools.aoai.chat, promptflow.tools.openai.chat and llm nodes go without it"
        ) from error
