"""Tools of prompt flow's own package that flows name by id, run on Pilothouse's models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.llm import model_connection, model_named, open_llm
from pilothouse.flows.nodes.work import Answer, Mode, NodeContext, Work
from pilothouse.flows.types import Api, LiteralValue, Node
from pilothouse.models.types import EmbeddingRequest

Opener = Callable[[Node, NodeContext], Work]

_PREFIX: Final = "promptflow.tools."
_EMBEDDING_MODEL: Final = "text-embedding-ada-002"
_LATER: Final = {
    "promptflow.tools.azure_content_safety": "call the service from a Python tool with its own library",
    "promptflow.tools.open_model_llm": "make it an llm node with a connection of the type serverless",
    "promptflow.tools.serpapi": "call the service from a Python tool with its own library",
    "promptflow_vectordb.tool": "look the index up from a Python tool with a library of its own",
}


def cure(identifier: str) -> str | None:
    """Return what to do about a tool of prompt flow that is not built in; None for any other id."""
    return next((text for beginning, text in _LATER.items() if identifier.startswith(f"{beginning}.")), None)


def _llm(node: Node, context: NodeContext) -> Work:
    """Open a tool that asks a model as an llm node of the same template and inputs."""
    inputs = dict(node.inputs)
    connection = _named(node, "connection") or node.connection
    api: Api = "completion" if (_named(node, "api") or node.source.tool or "").endswith("completion") else node.api
    for name in ("connection", "api"):
        inputs.pop(name, None)
    return open_llm(replace(node, inputs=inputs, connection=connection, api=api), context)


def _embedding(node: Node, context: NodeContext) -> Work:
    """Open the tool that turns a text into a vector."""
    name, models = model_connection(replace(node, connection=_named(node, "connection") or node.connection), context)
    connection, client = models.connection(name), models.client(name)
    constants: dict[str, Any] = {
        key: value.value
        for key, value in node.inputs.items()
        if isinstance(value, LiteralValue) and key != "connection" and value.value not in (None, "")
    }
    fallback = _EMBEDDING_MODEL if connection.type in {"open_ai", "azure_open_ai"} else ""
    if "input" not in node.inputs:
        raise FlowError(f"node '{node.name}' gives no text to embed", where=node.where, expected="inputs: {input: ...}")

    def prepare(inputs: dict[str, Any]) -> EmbeddingRequest:
        model = model_named(connection, inputs) or fallback
        return EmbeddingRequest(model=model, inputs=(str(inputs["input"]),))

    async def send(request: EmbeddingRequest) -> Answer:
        response = await client.embed(request)
        vector = list(response.vectors[0])
        return Answer(output=vector, usage=response.usage, provider=client.provider, model=response.model)

    identity = {key: value for key, value in connection.identity().items() if key != "name"}
    return Work(
        mode=Mode.LOOP,
        prepare=prepare,
        send=send,
        constants=constants,
        optional=frozenset({"deployment_name", "model"}),
        fingerprint=digest(["embedding", identity, fallback, constants]),
        cacheable=True,
        slots=models.slots(name),
    )


def _named(node: Node, key: str) -> str | None:
    """Return an input that must stand in the file itself.

    Raises:
        FlowError: when it is read from elsewhere.
    """
    value = node.inputs.get(key)
    if value is None:
        return None
    if not isinstance(value, LiteralValue):
        raise FlowError(f"'{key}' of '{node.name}' is a reference", where=value.where, expected="its value itself")
    return str(value.value) if value.value else None


BUILT_IN: Final[dict[str, Opener]] = {
    f"{_PREFIX}{identifier}": opener
    for identifier, opener in {
        "aoai.chat": _llm,
        "aoai.completion": _llm,
        "openai.chat": _llm,
        "openai.completion": _llm,
        "aoai.AzureOpenAI.chat": _llm,
        "aoai.AzureOpenAI.completion": _llm,
        "openai.OpenAI.chat": _llm,
        "openai.OpenAI.completion": _llm,
        "aoai_gpt4v.AzureOpenAI.chat": _llm,
        "openai_gpt4v.OpenAI.chat": _llm,
        "llm.llm": _llm,
        "llm_vision.llm_vision": _llm,
        "embedding.embedding": _embedding,
    }.items()
}
"""What opens each built-in tool, by its id."""
