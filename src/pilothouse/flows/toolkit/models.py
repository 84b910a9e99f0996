"""`promptflow.tools.aoai`, `.openai`, `.embedding` and `.llm`: models asked from Python tools, on connection objects.

A call from a tool is a call of the house: it is tried again, recorded as a span below the tool's, and its key is in
no message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry import trace

from pilothouse.core.clock import SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ModelError, UserError
from pilothouse.flows.environment.contexts import given_connection
from pilothouse.flows.function import blocking
from pilothouse.flows.nodes.llm import Caller, model_named
from pilothouse.flows.promptflow.connections import PromptflowConnection
from pilothouse.flows.promptflow.faults import (
    FunctionCallNotSupportedInStreamMode,
    InvalidConnectionType,
    ToolValidationError,
    WrappedOpenAIError,
)
from pilothouse.flows.toolkit.prompts import chat_messages, render_jinja_template, to_bool
from pilothouse.models.client import ModelClient, ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.connections import ConnectionFolder
from pilothouse.models.local_models import cache_folder
from pilothouse.models.service import ModelService
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import Connection, EmbeddingRequest, Message

T = TypeVar("T")

Given = PromptflowConnection | Connection
_TRACER: Final = "pilothouse"
_NAMES: Final = ("deployment_name", "model")


class EmbeddingModel(StrEnum):
    """Models that make vectors."""

    TEXT_EMBEDDING_ADA_002 = "text-embedding-ada-002"
    TEXT_SEARCH_ADA_DOC_001 = "text-search-ada-doc-001"
    TEXT_SEARCH_ADA_QUERY_001 = "text-search-ada-query-001"


def chat(connection: Given, prompt: str, deployment_name: str = "", **given: Any) -> Any:
    """Ask a chat model.

    Args:
        connection: The way to the model.
        prompt: A template with role markers.
        deployment_name: The deployment or model; ``model`` serves as well.
        given: The API's parameters, and the template's variables.

    Returns:
        The text of the first answer; the message as a dict with ``tools`` or ``functions``; a generator with
        ``stream``.

    Raises:
        ToolValidationError: for a template or parameter that cannot be used.
        WrappedOpenAIError: when the model's provider refuses or fails.
    """
    parameters, variables = _divided({**given, "deployment_name": deployment_name}, _CHAT)
    stream = to_bool(parameters.pop("stream", False))
    if stream and (parameters.get("functions") or parameters.get("tools")):
        raise FunctionCallNotSupportedInStreamMode("calls of functions do not come in pieces: leave stream out")
    return _answered(connection, "chat", chat_messages(prompt, variables), parameters, stream=stream)


def completion(connection: Given, prompt: str, deployment_name: str = "", **given: Any) -> Any:
    """Let a model continue a text; takes, returns and raises what `chat` does."""
    parameters, variables = _divided({**given, "deployment_name": deployment_name}, _COMPLETION)
    stream = to_bool(parameters.pop("stream", False))
    variables.pop("_inputs_to_escape", None)
    text = render_jinja_template(prompt, **variables)
    return _answered(connection, "completion", text, {"max_tokens": 16, **parameters}, stream=stream)


def llm(connection: Given, prompt: str, api: str = "chat", **given: Any) -> Any:
    """Ask a chat or a completion model, as ``api`` says."""
    return (completion if api == "completion" else chat)(connection, prompt, **given)


def llm_vision(connection: Given, prompt: str, **given: Any) -> Any:
    """Ask a chat model about images among the template's variables."""
    given.pop("detail", None)
    return chat(connection, prompt, **given)


def embedding(
    connection: Given,
    input: str,  # noqa: A002 - prompt flow's name for it
    deployment_name: str = "",
    model: str = EmbeddingModel.TEXT_EMBEDDING_ADA_002,
) -> list[float]:
    """Return a text as a vector.

    Raises:
        WrappedOpenAIError: when the model's provider refuses or fails.
    """
    house = _house(connection)
    name = model_named(house, {"deployment_name": deployment_name, "model": str(model)})

    async def work(client: ModelClient) -> list[float]:
        response = await client.embed(EmbeddingRequest(model=name, inputs=(input,)))
        return list(response.vectors[0])

    return _asked(house, work)


class AzureOpenAI:
    """Chat and completion on one Azure OpenAI connection."""

    def __init__(self, connection: Given) -> None:
        self.connection = connection

    def chat(self, prompt: str, deployment_name: str, **given: Any) -> Any:
        """Ask a chat model."""
        return chat(self.connection, prompt, deployment_name=deployment_name, **given)

    def completion(self, prompt: str, deployment_name: str, **given: Any) -> Any:
        """Let a model continue a text."""
        return completion(self.connection, prompt, deployment_name=deployment_name, **given)


class OpenAI:
    """Chat and completion on one connection to OpenAI, or to a server that speaks like it."""

    def __init__(self, connection: Given) -> None:
        self.connection = connection

    def chat(self, prompt: str, model: str = "", **given: Any) -> Any:
        """Ask a chat model."""
        return chat(self.connection, prompt, model=model, **given)

    def completion(self, prompt: str, model: str = "", **given: Any) -> Any:
        """Let a model continue a text."""
        return completion(self.connection, prompt, model=model, **given)


_SHARED: Final = ("temperature", "top_p", "n", "stream", "stop", "max_tokens", "presence_penalty",
                  "frequency_penalty", "logit_bias", "user")  # fmt: skip
_CHAT: Final = (*_SHARED, *_NAMES, "function_call", "functions", "tool_choice", "tools", "response_format", "seed",
                "max_completion_tokens")  # fmt: skip
_COMPLETION: Final = (*_SHARED, *_NAMES, "suffix", "logprobs", "echo", "best_of")


def _divided(given: dict[str, Any], names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    parameters = {name: value for name, value in given.items() if name in names and value is not None}
    return parameters, {name: value for name, value in given.items() if name not in names}


def _answered(
    connection: Given, api: Any, prompt: str | tuple[Message, ...], parameters: dict[str, Any], *, stream: bool
) -> Any:
    house = _house(connection)

    async def work(client: ModelClient) -> Any:
        caller = Caller(api, f"the connection '{house.name}'", house, client)
        return (await caller.send(caller.call(prompt, parameters))).output

    output = _asked(house, work)
    return _whole(output) if stream else output


def _whole(text: str) -> Generator[str]:
    """Yield a text as a stream of one piece: a tool's function waits for its answer."""
    if text:
        yield text


def _house(connection: Given) -> Connection:
    house = given_connection(connection) if isinstance(connection, PromptflowConnection) else connection
    if not TYPES[house.type].serves_models:
        raise InvalidConnectionType(f"there are no models behind a {type(connection).__name__}")
    return house


def _asked(connection: Connection, work: Callable[[ModelClient], Awaitable[T]]) -> T:
    async def ask() -> T:
        models = _models(Path.cwd())
        try:
            return await work(models.open(connection))
        finally:
            await models.aclose()

    try:
        return blocking(ask)
    except ModelError as error:
        raise WrappedOpenAIError(str(error)) from error
    except UserError as error:
        raise ToolValidationError(str(error)) from error


def _models(root: Path) -> ModelService:
    settings, environment = ModelSettings(), Environment.load(root)
    return ModelService(
        files=ConnectionFolder(root / settings.connections, environment),
        context=ProviderContext(
            settings=settings, root=root, cache=cache_folder(settings, environment, root), clock=SystemClock()
        ),
        tracer=trace.get_tracer(_TRACER),
        capture=True,
    )
