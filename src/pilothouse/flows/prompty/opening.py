"""A prompty made ready to run: its connection found or made, its template compiled, its tools opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import DataError, FlowError, nearest_hint
from pilothouse.flows.environment.references import resolved
from pilothouse.flows.nodes.llm import Call, Caller, rendered
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS
from pilothouse.flows.nodes.work import Answer, Mode, NodeContext, Work
from pilothouse.flows.prompts.images import load_image
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.answers import Reader
from pilothouse.flows.prompty.calling import Answering, BoundCall, Conversation
from pilothouse.flows.prompty.connecting import connected, refuse_unset
from pilothouse.flows.prompty.loader import load_prompty
from pilothouse.flows.prompty.messages import Prompt
from pilothouse.flows.prompty.tools import declared
from pilothouse.flows.running.plan import line_plan
from pilothouse.flows.types import Flow, LiteralValue, Node, Prompty
from pilothouse.models.types import Message

_PICTURE = re.compile(r"(?P<key>data:image/[\w.+*-]+;(?:path|base64|url)):(?P<content>.*)", re.IGNORECASE | re.DOTALL)
_Prompted = str | tuple[Message, ...]


def open_prompty(node: Node, context: NodeContext, *, agentic: bool = True) -> Work:
    """Return the work of a prompty's one node.

    Args:
        node: The node.
        context: What it is opened with.
        agentic: Whether its tools are called where they can be.

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
    refuse_unset(
        node.name, parameters if prompty.dialect == "v2" else {"model": parameters.get("model")}, prompty.where
    )
    if prompty.tools:
        parameters["tools"] = [*(parameters.get("tools") or ()), *declared(prompty.tools)]
    connection, client, slots = connected(node, prompty, context, context.models, str(parameters.get("model") or ""))
    caller = Caller(prompty.api, prompty.where, connection, client)
    known = {name: value for name, value in parameters.items() if name in (*PARAMETERS[prompty.api], *MODEL_NAMES)}
    extra = {name: value for name, value in parameters.items() if name not in known}
    prompt = _prompting(flow, prompty, context)
    reader = Reader(flow, prompty, parameters)
    answering = _answering(prompty, context) if agentic else {}
    tools = {tool.name: tool for tool in prompty.tools}
    talk = Conversation(caller, tools, {name: item for name, (item, _) in answering.items()}, prompty.where)

    def prepare(inputs: dict[str, Any]) -> Call | BoundCall:
        call = caller.call(prompt(inputs), known)
        request = call.request
        call = replace(call, request=replace(request, extra={**request.extra, **extra})) if extra else call
        return BoundCall(call=call, bound=talk.bound(inputs)) if answering else call

    async def send(prepared: Call | BoundCall) -> Answer:
        is_bound = isinstance(prepared, BoundCall)
        call = prepared.call if is_bound else prepared
        response = await (talk.respond(prepared) if is_bound else caller.respond(call, is_text=reader.gives_text))
        return caller.answer(reader.outputs(response), call, response)

    parts = ["prompty", prompty.dialect, prompty.api, prompty.template, prompty.format, prompty.guarded]
    tooling = {name: fingerprint for name, (_, fingerprint) in answering.items()}
    return Work(
        mode=Mode.LOOP,
        prepare=prepare,
        send=send,
        constants={},
        fingerprint=digest([*parts, caller.identity, prompty.response, reader.keys, tooling]),
        cacheable=True,
        slots=slots,
        streams=reader.gives_text and prompty.api == "chat" and not {"tools", "functions"} & parameters.keys(),
    )


# The prompt


def _prompting(flow: Flow, prompty: Prompty, context: NodeContext) -> Callable[[dict[str, Any]], _Prompted]:
    """Return what makes the prompt of a line's inputs."""
    defaults = {name: item.default for name, item in flow.inputs.items() if isinstance(item.default, str)}
    meant = resolved(defaults, context.folder, context.environment, prompty.where)
    # A default that names a variable is resolved here, so that records keep the name and not the value.
    referring = {name: value for name, value in meant.items() if value != defaults[name]}
    allowed = {name: item.enum for name, item in flow.inputs.items() if item.enum and prompty.dialect == "v2"}
    make = _v2(flow, prompty, context) if prompty.dialect == "v2" else _v1(flow, prompty, context)

    def prompt(inputs: dict[str, Any]) -> _Prompted:
        values = {name: value for name, value in inputs.items() if name in flow.inputs}
        for name, value in referring.items():
            if values.get(name) == defaults[name]:
                values[name] = value
        for name, choices in allowed.items():
            if name in values and values[name] is not None and values[name] not in choices:
                raise DataError(
                    f"the input '{name}' is {str(values[name])[:60]!r}",
                    expected=nearest_hint(str(values[name]), map(str, choices)),
                )
        return make(values)

    return prompt


def _v2(flow: Flow, prompty: Prompty, context: NodeContext) -> Callable[[dict[str, Any]], _Prompted]:
    prompt = Prompt(prompty, flow.path, sandbox=context.settings.sandbox)
    return prompt.text if prompty.api == "completion" else prompt.messages


def _v1(flow: Flow, prompty: Prompty, context: NodeContext) -> Callable[[dict[str, Any]], _Prompted]:
    template = Template(prompty.template, flow.path, sandbox=context.settings.sandbox, skipped=prompty.line)
    from_flow = frozenset(flow.inputs)

    def make(values: dict[str, Any]) -> _Prompted:
        values = {name: _picture(value, flow.folder) for name, value in values.items()}
        return rendered(prompty.api, template, values, from_flow)

    return make


def _picture(value: Any, folder: Path) -> Any:
    """Return a text that describes an image in prompt flow's way (``data:image/png;path: cat.png``) as that image."""
    match = _PICTURE.fullmatch(value) if isinstance(value, str) else None
    return load_image({match["key"]: match["content"].strip()}, folder) if match else value


# Tools


def _answering(prompty: Prompty, context: NodeContext) -> dict[str, tuple[Answering, str]]:
    """Return what answers the calls of each tool that is a prompty, and the fingerprint of that prompty."""
    found: dict[str, tuple[Answering, str]] = {}
    for tool in prompty.tools:
        if tool.path is not None:
            flow = load_prompty(tool.path)
            inner = replace(context, flow=flow, folder=flow.folder)
            work = open_prompty(flow.nodes[0], inner, agentic=tool.agentic)
            found[tool.name] = (_answered_by(flow, work), work.fingerprint)
    return found


def _answered_by(flow: Flow, work: Work) -> Answering:
    plan = line_plan(flow, {flow.nodes[0].name: work}, alone=False)

    async def answer(arguments: Mapping[str, Any]) -> Answer:
        values, _ = plan.read_inputs(arguments, 0)
        assert work.prepare is not None
        assert work.send is not None
        answer: Answer = await cast("Any", work.send)(work.prepare(values))
        return answer

    return answer
