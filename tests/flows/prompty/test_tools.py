"""Tools of Prompty 2: what the model is told, what comes back, and prompties that answer it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pilothouse.core.errors import FlowError, ModelError
from pilothouse.flows.loader import load_flow
from pilothouse.models.types import ChatRequest, ChatResponse, Message, ToolCall

from ..building import MemoryCache, Request, answer, run
from .conftest import Models, Prompty

MODEL = "model: {id: m, connection: fake}\n"
WEATHER = (
    MODEL
    + """\
inputs:
  question: {kind: string}
  unit: {kind: string, default: celsius}
tools:
  - name: get_weather
    kind: function
    description: The weather of a place
    strict: %s
    parameters:
      - {name: place, kind: string, required: true, description: City}
      - {name: days, kind: integer}
      - {name: unit, kind: string, enumValues: [celsius, kelvin]}
    bindings:
      unit: {input: unit}
"""
)
CALL = ToolCall(id="1", name="get_weather", arguments='{"place": "Paris"}')


def calling(*calls: ToolCall) -> ChatResponse:
    return answer(message=Message(role="assistant", tool_calls=calls))


def script(*answers: ChatResponse) -> Models:
    left = list(answers)
    return Models(lambda _request: left.pop(0) if len(left) > 1 else left[0])


def sent(models: Models, number: int = -1) -> Any:
    return models.fake.requests[number]


def test_a_function_is_declared_without_what_is_bound(prompty: Prompty) -> None:
    models = Models()
    run(prompty(WEATHER % "false", "user:\n{{question}}"), {"question": "x"}, models=models)
    (tool,) = sent(models).tools
    assert tool["function"] == {
        "name": "get_weather",
        "description": "The weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "City"}, "days": {"type": "integer"}},
            "required": ["place"],
        },
    }


def test_a_strict_function_demands_all_of_its_arguments(prompty: Prompty) -> None:
    models = Models()
    run(prompty(WEATHER % "true", "user:\n{{question}}"), {"question": "x"}, models=models)
    (tool,) = sent(models).tools
    assert tool["function"]["strict"] is True
    schema = tool["function"]["parameters"]
    assert (schema["required"], schema["additionalProperties"]) == (["place", "days"], False)
    assert schema["properties"]["days"] == {"type": ["integer", "null"]}


def test_calls_of_a_function_are_the_output(prompty: Prompty) -> None:
    models = script(calling(CALL))
    line = run(prompty(WEATHER % "false", "user:\n{{question}}"), {"question": "x"}, models=models)
    assert len(models.fake.requests) == 1
    (call,) = line.outputs["output"]["tool_calls"]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("get_weather", '{"place": "Paris"}')


# Prompties as tools

PARENT = (
    MODEL
    + """\
inputs:
  question: {kind: string}
  style: {kind: string, default: short}
tools:
  - name: summarise
    kind: prompty
    path: summarise.prompty
    parameters: [{name: text, kind: string, required: true}]
    bindings: {style: style}
"""
)
CHILD = (
    "---\n"
    + MODEL
    + "inputs:\n  text: {kind: string, required: true}\n  style: {kind: string}\n---\nuser:\nSummarise ({{style}}): {{text}}\n"
)
SUMMARISE = ToolCall(id="1", name="summarise", arguments='{"text": "long text", "style": "of the model"}')


def talking(*calls: Sequence[ToolCall]) -> Models:
    """Return a model whose main prompt asks for the given calls in turn, then says what it was told."""
    left = list(calls)

    def reply(request: Request) -> ChatResponse:
        assert isinstance(request, ChatRequest)
        if request.messages[0].text.startswith("Summarise"):
            return answer("the " + request.messages[0].text)
        return calling(*left.pop(0)) if left else answer("So: " + request.messages[-1].text)

    return Models(reply)


def test_a_prompty_answers_its_calls(prompty: Prompty) -> None:
    models = talking([SUMMARISE])
    line = run(prompty(PARENT, "user:\n{{question}}", summarise__prompty=CHILD), {"question": "q"}, models=models)
    assert line.outputs == {"output": "So: the Summarise (short): long text"}
    assert line.usage.input_tokens == 30
    last = sent(models).messages
    assert [message.role for message in last] == ["user", "assistant", "tool"]
    assert (last[2].tool_call_id, last[2].name) == ("1", "summarise")
    assert sent(models).tools[0]["function"]["parameters"]["properties"] == {"text": {"type": "string"}}


def test_calls_are_answered_until_there_are_none(prompty: Prompty) -> None:
    models = talking([SUMMARISE, ToolCall(id="2", name="summarise", arguments='{"text": "b"}')], [SUMMARISE])
    line = run(prompty(PARENT, "user:\n{{question}}", summarise__prompty=CHILD), {"question": "q"}, models=models)
    assert line.status == "completed"
    assert len(models.fake.requests) == 6


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (ToolCall(id="1", name="summarise", arguments="{"), "Error: the arguments of 'summarise' are not JSON"),
        (ToolCall(id="1", name="summarise", arguments="[]"), "Error: the arguments of 'summarise' are not an object"),
        (ToolCall(id="1", name="summarise", arguments=""), "Error: line 0 has no value for the input 'text'"),
        (
            ToolCall(id="1", name="sumarise", arguments="{}"),
            "Error: there is no tool 'sumarise'; did you mean 'summarise'?",
        ),
    ],
)
def test_the_model_is_told_of_its_slips(prompty: Prompty, call: ToolCall, told: str) -> None:
    models = talking([call])
    line = run(prompty(PARENT, "user:\n{{question}}", summarise__prompty=CHILD), {"question": "q"}, models=models)
    assert line.outputs == {"output": f"So: {told}"}


def test_a_model_that_never_ends_fails_the_line(prompty: Prompty) -> None:
    models = Models(lambda request: calling(SUMMARISE) if request.tools else answer("s"))  # type: ignore[union-attr]
    line = run(prompty(PARENT, "user:\n{{question}}", summarise__prompty=CHILD), {"question": "q"}, models=models)
    assert line.error is not None
    assert "still asks for tools after 10 answers" in line.error.message


def test_a_provider_that_is_down_fails_the_line(prompty: Prompty) -> None:
    def reply(request: Request) -> ChatResponse:
        if isinstance(request, ChatRequest) and request.tools:
            return calling(SUMMARISE)
        raise ModelError("the provider is down")

    path = prompty(PARENT, "user:\n{{question}}", summarise__prompty=CHILD)
    line = run(path, {"question": "q"}, models=Models(reply))
    assert line.error is not None
    assert "the provider is down" in line.error.message


def test_functions_beside_prompties_end_the_loop(prompty: Prompty) -> None:
    front = PARENT + "  - {name: get_weather, kind: function}\n"
    models = talking([SUMMARISE, CALL])
    line = run(prompty(front, "user:\n{{question}}", summarise__prompty=CHILD), {"question": "q"}, models=models)
    assert [call["id"] for call in line.outputs["output"]["tool_calls"]] == ["1", "1"]


@pytest.mark.parametrize(("mode", "calls"), [("single", 3), ("agentic", 5)])
def test_a_tool_may_have_tools(prompty: Prompty, mode: str, calls: int) -> None:
    middle = (
        "---\n" + MODEL + "inputs: {text: {kind: string}}\ntools:\n"
        "  - {name: inner, kind: prompty, path: inner.prompty}\n---\nuser:\nMiddle {{text}}\n"
    )
    inner = "---\n" + MODEL + "---\nuser:\nInner\n"
    asked: set[str] = set()

    def reply(request: Request) -> ChatResponse:
        assert isinstance(request, ChatRequest)
        first = request.messages[0].text.split()[0]
        if first == "Inner" or first in asked:
            return answer(request.messages[-1].text)
        asked.add(first)
        name = "inner" if first == "Middle" else "summarise"
        return calling(ToolCall(id="1", name=name, arguments='{"text": "t"}'))

    front = PARENT.replace("kind: prompty", f"kind: prompty\n    mode: {mode}").replace(
        "    bindings: {style: style}\n", ""
    )
    models = Models(reply)
    path = prompty(front, "user:\n{{question}}", summarise__prompty=middle, inner__prompty=inner)
    line = run(path, {"question": "q"}, models=models)
    assert (line.status, len(models.fake.requests)) == ("completed", calls)
    assert ("tool_calls" in line.outputs["output"]) == (mode == "single")


def test_an_answer_of_several_outputs_is_given_as_json(prompty: Prompty) -> None:
    child = CHILD.replace("---\nuser", "outputs: {a: {kind: integer}}\n---\nuser")

    def reply(request: Request) -> ChatResponse:
        assert isinstance(request, ChatRequest)
        if request.response_format:
            return answer('{"a": 1}')
        return answer(request.messages[-1].text) if len(request.messages) > 1 else calling(SUMMARISE)

    line = run(
        prompty(PARENT, "user:\n{{question}}", summarise__prompty=child), {"question": "q"}, models=Models(reply)
    )
    assert json.loads(line.outputs["output"]) == {"a": 1}


def test_the_cache_knows_the_tools(prompty: Prompty) -> None:
    cache = MemoryCache()
    for child, expected in ((CHILD, "So: the Summarise (short): long text"), (CHILD.replace("({{", "[{{"), None)):
        line = run(
            prompty(PARENT, "user:\n{{question}}", summarise__prompty=child),
            {"question": "q"},
            models=talking([SUMMARISE]),
            cache=cache,
        )
        assert line.nodes[0].status == "completed"
        assert expected is None or line.outputs == {"output": expected}


REFUSED = {
    "no name": ("- {kind: function}", 3, "a tool has no name"),
    "no kind": ("- {name: f}", 3, "has no kind"),
    "a kind that is nearly one": ("- {name: f, kind: functoin}", 3, "did you mean 'function'"),
    "mcp": ("- {name: f, kind: mcp, serverName: s}", 3, "tools of an MCP server are not called from a prompty here"),
    "openapi": ("- {name: f, kind: openapi, specification: s}", 3, "operations of an OpenAPI document"),
    "a runtime's own": ("- {name: f, kind: browser}", 3, "tools of the kind 'browser'"),
    "unknown key": ("- {name: f, kind: function, parametres: []}", 3, "did you mean 'parameters'"),
    "twice": ("- {name: f, kind: function}\n- {name: f, kind: function}", 4, "'f' stands twice"),
    "bound to nothing": ("- {name: f, kind: function, bindings: {a: gone}}", 3, "bound to 'gone', which is no input"),
    "no path": ("- {name: f, kind: prompty}", 3, "names no prompty"),
    "gone": ("- {name: f, kind: prompty, path: gone.prompty}", 3, "there is no prompty 'gone.prompty'"),
    "outside": ("- {name: f, kind: prompty, path: ../a.prompty}", 3, "outside of the prompty's folder"),
    "itself": ("- {name: f, kind: prompty, path: ask.prompty}", 3, "ask.prompty -> ask.prompty"),
    "unknown mode": ("- {name: f, kind: prompty, path: ask.prompty, mode: fast}", 3, "agentic, single"),
    "argument of no kind": ("- {name: f, kind: function, parameters: {a: {kind: strnig}}}", 3, "did you mean 'string'"),
    "argument that nobody can write": (
        "- {name: f, kind: function, parameters: {a: {kind: audio}}}",
        3,
        "cannot write",
    ),
}


@pytest.mark.parametrize(("tools", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_called_is_refused_at_load(prompty: Prompty, tools: str, line: int, message: str) -> None:
    path = prompty("model: m\ntools:\n" + tools)
    with pytest.raises(FlowError, match=message) as error:
        load_flow(path)
    assert f"{path}:{line + 1}" in str(error.value)


def test_a_tool_that_cannot_give_what_the_prompty_needs_is_refused(prompty: Prompty) -> None:
    front = PARENT.replace("parameters: [{name: text, kind: string, required: true}]", "parameters: []")
    with pytest.raises(FlowError, match="cannot give 'text' to "):
        load_flow(prompty(front, "user:\nhi", summarise__prompty=CHILD))


def test_what_is_wrong_with_a_tool_is_told_with_its_own_line(prompty: Prompty) -> None:
    with pytest.raises(FlowError, match=r"summarise\.prompty:\d"):
        load_flow(prompty(PARENT, "user:\nhi", summarise__prompty="---\nmodel: [\n---\nuser:\nhi\n"))


def test_the_digest_follows_the_tools(prompty: Prompty) -> None:
    first = load_flow(prompty(PARENT, "user:\nhi", summarise__prompty=CHILD)).digest
    assert load_flow(prompty(PARENT, "user:\nhi", summarise__prompty=CHILD + "more")).digest != first
