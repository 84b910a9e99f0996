"""A prompty made ready to run: its connection found or made, its template compiled."""

from __future__ import annotations

import json
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConnectionFault, DataError, FlowError
from pilothouse.flows.environment.references import missing_variable, resolved
from pilothouse.flows.nodes.llm import Call, Caller, message_dict, rendered
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS
from pilothouse.flows.nodes.work import Answer, Bare, Mode, ModelLookup, NodeContext, Work
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.loader import expects_json
from pilothouse.flows.types import Flow, LiteralValue, Node, Prompty
from pilothouse.models.client import ModelClient
from pilothouse.models.connection_types import TYPES
from pilothouse.models.secret import Secret
from pilothouse.models.types import ChatResponse, Connection

_VARIABLES = {
    "azure_open_ai": {
        "api_base": "AZURE_OPENAI_ENDPOINT",
        "api_key": "AZURE_OPENAI_API_KEY",
        "api_version": "OPENAI_API_VERSION",
    },
    "open_ai": {"api_key": "OPENAI_API_KEY", "organization": "OPENAI_ORG_ID", "base_url": "OPENAI_BASE_URL"},
}
_NEEDED = {"azure_open_ai": ("api_base", "api_key"), "serverless": ("api_base", "api_key")}


def open_prompty(node: Node, context: NodeContext) -> Work:
    """Return the work of a prompty's one node.

    Raises:
        FlowError: when it names no model.
        ConnectionFault: when its connection is missing or incomplete, naming what to set.
    """
    flow, prompty = context.flow, context.flow.prompty
    if prompty is None or context.models is None:
        raise FlowError(f"the prompty '{node.name}' needs a model, but no models are at hand here", where=node.where)
    # Inputs that are no references are what a run gives in place of the file's own parameters.
    given = {name: item.value for name, item in node.inputs.items() if isinstance(item, LiteralValue)}
    parameters = resolved({**prompty.parameters, **given}, context.folder, context.environment, prompty.where)
    _refuse_unset(node.name, {"model": parameters.get("model")}, prompty.where)
    connection, client, slots = _model(node, prompty, context, context.models, parameters)
    caller = Caller(prompty.api, prompty.where, connection, client)
    known = {name: value for name, value in parameters.items() if name in (*PARAMETERS[prompty.api], *MODEL_NAMES)}
    extra = {name: value for name, value in parameters.items() if name not in known}
    template = Template(prompty.template, flow.path, sandbox=context.settings.sandbox, skipped=prompty.line)
    from_flow = frozenset(flow.inputs)
    reader = _Reader(flow, prompty, parameters)

    def prepare(inputs: dict[str, Any]) -> Call:
        variables = {name: value for name, value in inputs.items() if name in from_flow}
        call = caller.call(rendered(prompty.api, template, variables, from_flow), known)
        request = call.request
        return replace(call, request=replace(request, extra={**request.extra, **extra})) if extra else call

    async def send(call: Call) -> Answer:
        response = await caller.respond(call, is_text=reader.gives_text)
        return caller.answer(reader.outputs(response), call, response)

    return Work(
        mode=Mode.LOOP,
        prepare=prepare,
        send=send,
        constants={},
        fingerprint=digest(["prompty", prompty.api, template.text, caller.identity, prompty.response, reader.keys]),
        cacheable=True,
        slots=slots,
        streams=reader.gives_text and prompty.api == "chat" and not {"tools", "functions"} & parameters.keys(),
    )


def _model(
    node: Node, prompty: Prompty, context: NodeContext, models: ModelLookup, parameters: dict[str, Any]
) -> tuple[Connection, ModelClient, int | None]:
    name = node.connection or ("" if prompty.type else context.settings.default_connection)
    if name:
        models.check(name, str(parameters.get("model") or ""))
        return models.connection(name), models.client(name), models.slots(name)
    if not prompty.type:
        raise FlowError(
            f"the prompty '{node.name}' names no model",
            where=prompty.where,
            expected="model: {configuration: {type: openai, model: ...}} or {configuration: {connection: <name>}}",
            fix="or set flows.default_connection in pilothouse.yaml",
        )
    connection = inline_connection(node.name, prompty, context)
    return connection, models.open(connection), None


def inline_connection(name: str, prompty: Prompty, context: NodeContext) -> Connection:
    """Return the connection that a prompty describes itself, from the environment where it says nothing.

    As in prompt flow, the environment's own variables are read only where the file gives no field at all: a key of
    one server is never sent to another.

    Raises:
        ConnectionFault: naming the variable or field that is missing.
    """
    kind = TYPES[prompty.type]
    values = resolved(prompty.configuration, context.folder, context.environment, prompty.where)
    variables = _VARIABLES.get(prompty.type, {})
    if not prompty.configuration:
        found = {key: context.environment.get(variable, "") for key, variable in variables.items()}
        values = {key: value for key, value in found.items() if value}
    _refuse_unset(name, values, prompty.where)
    needed = _NEEDED.get(prompty.type, ())
    if prompty.type == "open_ai" and not values.get("base_url"):
        needed = ("api_key",)
    if values.get("auth_mode") == "meid_token":
        needed = tuple("token" if key == "api_key" else key for key in needed)
    for key in needed:
        if not values.get(key):
            raise _missing(name, key, prompty, variables.get(key))
    filled = {key: rule.default for key, rule in kind.fields.items() if rule.default} | values
    secrets = [key for key, rule in kind.fields.items() if rule.secret]
    return Connection(
        name=name,
        type=prompty.type,
        configs={key: str(value) for key, value in filled.items() if key not in secrets},
        secrets={key: Secret(str(filled[key])) for key in secrets if filled.get(key)},
        where=prompty.where,
    )


def _refuse_unset(name: str, values: dict[str, Any], where: str) -> None:
    for key, value in values.items():
        variable = missing_variable(value)
        if variable is not None:
            raise ConnectionFault(
                f"the prompty '{name}' has no '{key}': the environment variable {variable} is not set",
                where=where,
                fix=f"export {variable}=... or write {variable}=... into .env",
            )


def _missing(name: str, key: str, prompty: Prompty, variable: str | None) -> ConnectionFault:
    fix = f"write {key}: ${{env:{variable or key.upper()}}} into its configuration"
    if variable is not None and not prompty.configuration:
        fix = f"export {variable}=... or write {variable}=... into .env"
    return ConnectionFault(f"the prompty '{name}' has no '{key}'", where=prompty.where, fix=fix)


class _Reader:
    """Makes the outputs of a line from a response."""

    def __init__(self, flow: Flow, prompty: Prompty, parameters: dict[str, Any]) -> None:
        self._is_json = expects_json(parameters)
        self._response = prompty.response
        self.keys = list(flow.outputs) if self._is_json else []
        self.gives_text = not self._is_json and self._response != "all"

    def outputs(self, response: ChatResponse) -> dict[str, Any]:
        if self._response == "all":
            return _whole(response)
        if not self._is_json:
            message = response.message
            return Bare(output=message_dict(message) if message.tool_calls or message.function_call else response.text)
        try:
            found: Any = json.loads(response.text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"the model's answer is not JSON: '{response.text[:80]}'", expected="a JSON object"
            ) from error
        if not isinstance(found, dict):
            raise DataError(f"the model's answer is a {type(found).__name__}", expected="a JSON object")
        values = cast("dict[str, Any]", found)
        for key in self.keys:
            if key not in values:
                raise DataError(f"the model's answer has no '{key}'", expected=f"keys: {', '.join(self.keys)}")
        return {key: values[key] for key in self.keys} if self.keys else values


def _whole(response: ChatResponse) -> dict[str, Any]:
    """Return a response in OpenAI's form, all of it JSON."""
    usage = response.usage
    choices = response.choices or (response.message,)
    return {
        "id": response.id,
        "model": response.model,
        "choices": [
            {
                "index": index,
                "message": {key: value for key, value in message_dict(message).items() if value is not None},
                "finish_reason": response.finish_reason,
            }
            for index, message in enumerate(choices)
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
        if usage is not None
        else None,
    }
