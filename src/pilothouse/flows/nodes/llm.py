"""LLM nodes: a template rendered, cut into messages and sent to a model."""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS, parameter, split_inputs
from pilothouse.flows.nodes.prompt import (
    flow_inputs,
    images_in,
    node_template,
    render_shielded,
    template_constants,
)
from pilothouse.flows.nodes.work import Answer, Mode, ModelLookup, NodeContext, Work
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.prompts.roles import split_messages
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.streaming.taps import tap
from pilothouse.flows.types import Api, Node
from pilothouse.models.client import ModelClient, StreamCollector, close_stream
from pilothouse.models.types import ChatRequest, ChatResponse, CompletionRequest, Connection, Message, ToolCall

# Fields of the request; every other parameter is put into its body as it is.
_CHAT_FIELDS = frozenset(ChatRequest.__struct_fields__)
_COMPLETION_FIELDS = frozenset(CompletionRequest.__struct_fields__)
_SEQUENCES = frozenset({"tools", "functions"})


class Call(Struct, frozen=True, kw_only=True):
    """One request, and whether its answer is asked for piece by piece."""

    request: ChatRequest | CompletionRequest
    stream: bool = False


class _Lines(list[Any]):
    """A list that prints its items on lines of their own, so that the images among them can be found."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def open_llm(node: Node, context: NodeContext) -> Work:
    """Return the work of an llm node.

    Raises:
        FlowError: when its template cannot be read, or it names no connection.
        ConnectionFault: when its connection is missing or incomplete.
        NotFound: when its model is not there.
    """
    template = node_template(node, context)
    name, models = model_connection(node, context)
    caller = Caller(node.api, node.where, models.connection(name), models.client(name))
    constants = template_constants(node, template, context)
    models.check(name, caller.model(constants))
    from_flow = flow_inputs(node)

    def prepare(inputs: dict[str, Any]) -> Call:
        parameters, variables = split_inputs(node.api, inputs)
        prompt = rendered(node.api, template, variables, from_flow)
        return caller.call(prompt, parameters)

    return Work(
        mode=Mode.LOOP,
        prepare=prepare,
        send=caller.send,
        constants=constants,
        # Every parameter of the API has a default: it may be left out.
        optional=frozenset(PARAMETERS[node.api]),
        fingerprint=digest(["llm", node.api, template.text, caller.identity]),
        cacheable=True,
        slots=models.slots(name),
        streams=node.api == "chat" and not {"tools", "functions"} & node.inputs.keys(),
    )


def model_connection(node: Node, context: NodeContext) -> tuple[str, ModelLookup]:
    """Return the name of the connection that a node asks, and where it is found.

    Raises:
        FlowError: when it names none, or no models are at hand.
    """
    name = node.connection or context.settings.default_connection
    if not name:
        raise FlowError(
            f"{node.type} node '{node.name}' names no connection",
            where=node.where,
            fix="add `connection: <name>` to the node, or set flows.default_connection in pilothouse.yaml",
        )
    if context.models is None:
        raise FlowError(f"{node.type} node '{node.name}' needs the connection '{name}', but no models are at hand here")
    return name, context.models


def _lined(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lined(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        items = [_lined(item) for item in cast("list[Any]", value)]
        return _Lines(items) if any(isinstance(item, Image) for item in items) else items
    return value


def rendered(
    api: Api, template: Template, variables: dict[str, Any], from_flow: frozenset[str]
) -> str | tuple[Message, ...]:
    """Return the text of a completion or the messages of a chat.

    Args:
        api: Which of the two.
        template: The template; empty lines before its first line that stand for what came before it are taken off.
        variables: What it is rendered with.
        from_flow: Those of them that come from outside and must not make a role marker.
    """
    images = images_in(variables)
    if images:
        variables = cast("dict[str, Any]", _lined(variables))
    text, marks = render_shielded(template, variables, from_flow)
    text = text[template.skipped :]
    if api == "completion":
        return marks.restore(text) if marks else text
    return split_messages(text, images=images, marks=marks, where=str(template.path))


class Caller:
    """Makes requests of one node and reads the answers.

    Args:
        api: Chat or completion.
        where: ``file:line`` of what sets the parameters.
        connection: The way to the model.
        client: Its client.
    """

    def __init__(self, api: Api, where: str, connection: Connection, client: ModelClient) -> None:
        self._api: Api = api
        self._where = where
        self._client = client
        self._connection = connection
        identity = connection.identity()
        self.identity = {key: value for key, value in identity.items() if key != "name"}

    def call(self, prompt: str | tuple[Message, ...], inputs: dict[str, Any]) -> Call:
        """Return the request for a prompt with parameters."""
        return self._completion(prompt, inputs) if isinstance(prompt, str) else self._chat(prompt, inputs)

    def _chat(self, messages: tuple[Message, ...], inputs: dict[str, Any]) -> Call:
        values, stream = self._parameters(inputs)
        # Both the older and the newer form: the newer wins, as in prompt flow.
        if "tools" in values:
            values.pop("functions", None)
            values.pop("function_call", None)
        fields, extra = _divide(values, _CHAT_FIELDS)
        request = ChatRequest(model=self.model(inputs), messages=messages, extra=extra, **fields)
        return Call(request=request, stream=stream)

    def _completion(self, prompt: str, inputs: dict[str, Any]) -> Call:
        # A completion is waited for as a whole: its text is the same.
        fields, extra = _divide(self._parameters(inputs)[0], _COMPLETION_FIELDS)
        return Call(request=CompletionRequest(model=self.model(inputs), prompt=prompt, extra=extra, **fields))

    async def respond(self, call: Call, *, is_text: bool = True) -> ChatResponse:
        """Send a request and wait for the whole response; where its text is the output, a tap hears it as it comes."""
        request = call.request
        if isinstance(request, CompletionRequest):
            return await self._client.complete(request)
        # What a model calls tools with is a message as a whole, not a text in pieces.
        is_heard = is_text and tap.get() is not None and not (request.tools or request.functions)
        if call.stream or is_heard:
            return await self._streamed(request, is_heard=is_heard)
        return await self._client.chat(request)

    async def _streamed(self, request: ChatRequest, *, is_heard: bool) -> ChatResponse:
        listener = tap.get() if is_heard else None
        collector = StreamCollector()
        stream = self._client.stream(request)
        try:
            async for chunk in stream:
                collector.add(chunk)
                if listener is not None and chunk.text and chunk.index == 0:
                    await listener.put(chunk.text, None)
        finally:
            # Who stops listening must not leave the model talking.
            await close_stream(stream)
        return collector.response()

    async def send(self, call: Call) -> Answer:
        """Send a request and return the answer as an llm node gives it."""
        request, response = call.request, await self.respond(call)
        wants_message = isinstance(request, ChatRequest) and bool(request.tools or request.functions)
        output = message_dict(response.message) if wants_message else response.text
        return self.answer(output, call, response)

    def answer(self, output: Any, call: Call, response: ChatResponse) -> Answer:
        """Return an output with what it cost."""
        model = response.model or call.request.model
        return Answer(output=output, usage=response.usage, provider=self._client.provider, model=model)

    def _parameters(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        made = {
            name: parameter(self._api, name, value, self._where)
            for name, value in inputs.items()
            if name not in MODEL_NAMES
        }
        stream = bool(made.pop("stream", False))
        return {name: value for name, value in made.items() if value is not None}, stream

    def model(self, inputs: dict[str, Any]) -> str:
        """Return the model or deployment that the inputs name; empty for the connection's own."""
        return model_named(self._connection, inputs)


def model_named(connection: Connection, inputs: dict[str, Any]) -> str:
    """Return the model or deployment that the inputs name; empty for the connection's own.

    Azure calls by deployment, the others by model; either name serves where only it is given.
    """
    names = MODEL_NAMES if connection.type == "azure_open_ai" else MODEL_NAMES[::-1]
    return next((str(inputs[name]) for name in names if inputs.get(name)), "")


def _divide(values: dict[str, Any], known: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    fields = {name: tuple(value) if name in _SEQUENCES else value for name, value in values.items() if name in known}
    return fields, {name: value for name, value in values.items() if name not in known}


def message_dict(message: Message) -> dict[str, Any]:
    """Return an answer with function or tool calls as prompt flow's nodes do: OpenAI's message."""
    calls = [{"id": call.id, "type": "function", "function": _function(call)} for call in message.tool_calls]
    return {
        "role": message.role,
        "content": message.text or None,
        "function_call": _function(message.function_call) if message.function_call else None,
        "tool_calls": calls or None,
    }


def _function(call: ToolCall) -> dict[str, str]:
    return {"name": call.name, "arguments": call.arguments}
