"""Built-in tools that ask a model: as an llm node of the same template and inputs does, or for a vector."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.llm import Call, model_connection, model_named, open_llm
from pilothouse.flows.nodes.work import Answer, Mode, NodeContext, Work
from pilothouse.flows.types import Api, LiteralValue, Node
from pilothouse.models.connection_types import TYPES
from pilothouse.models.types import ChatRequest, Connection, EmbeddingRequest, ImagePart, Message

_EMBEDDING_MODEL: Final = "text-embedding-ada-002"
_IN_A_FILE: Final = "connection/"


def open_model(node: Node, context: NodeContext) -> Work:
    """Open a tool that asks a model as an llm node of the same template and inputs."""
    inputs = dict(node.inputs)
    connection = _named(node, "connection") or node.connection
    api: Api = "completion" if (_named(node, "api") or node.source.tool or "").endswith("completion") else node.api
    for name in ("connection", "api"):
        inputs.pop(name, None)
    return open_llm(replace(node, inputs=inputs, connection=connection, api=api), context)


def open_vision(node: Node, context: NodeContext) -> Work:
    """Open a tool that asks a model about images, at the ``detail`` that the node names."""
    detail = _named(node, "detail")
    inputs = {name: value for name, value in node.inputs.items() if name != "detail"}
    work = open_model(replace(node, inputs=inputs), context)
    prepare = work.prepare
    if detail in {None, "auto"} or prepare is None:
        return work

    def detailed(given: dict[str, Any]) -> Call:
        call: Call = prepare(given)
        request = call.request
        if not isinstance(request, ChatRequest):
            return call
        messages = tuple(_in_detail(message, str(detail)) for message in request.messages)
        return replace(call, request=replace(request, messages=messages))

    return replace(work, prepare=detailed, fingerprint=digest([work.fingerprint, detail]))


def _in_detail(message: Message, detail: str) -> Message:
    if isinstance(message.content, str):
        return message
    parts = tuple(replace(part, detail=detail) if isinstance(part, ImagePart) else part for part in message.content)
    return replace(message, content=parts)


def open_endpoint(node: Node, context: NodeContext) -> Work:
    """Open the tool that asks an open model behind an endpoint; the project's own connections are such endpoints.

    Raises:
        FlowError: when the endpoint is none of the project's connections.
    """
    endpoint = _named(node, "endpoint_name") or ""
    name = endpoint.removeprefix(_IN_A_FILE)
    if context.models is None or endpoint == name or not _serves(context.models.connection(name)):
        raise FlowError(
            f"node '{node.name}' asks an open model at '{endpoint}', which is not a connection to a model",
            where=node.where,
            expected=f"endpoint_name: {_IN_A_FILE}<name>, and a connection of the type serverless in this project",
            fix="pilothouse connection add NAME --type serverless api_base=https://...; or make it an llm node",
        )
    renamed = {"max_new_tokens": "max_tokens", "deployment_name": "model"}
    dropped = {"endpoint_name", "model_kwargs"}
    inputs = {renamed.get(key, key): value for key, value in node.inputs.items() if key not in dropped}
    further = node.inputs.get("model_kwargs")
    if isinstance(further, LiteralValue) and further.value not in (None, "", "{}", {}):
        raise FlowError(
            f"node '{node.name}' gives model_kwargs, which nothing here takes",
            where=further.where,
            fix="name the parameters among the inputs of the node",
        )
    if isinstance(node.inputs.get("deployment_name"), LiteralValue) and not _named(node, "deployment_name"):
        inputs.pop("model", None)
    return open_model(replace(node, inputs=inputs, connection=name), context)


def _serves(connection: Connection) -> bool:
    return TYPES[connection.type].serves_models


def open_embedding(node: Node, context: NodeContext) -> Work:
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
