"""LLM nodes: what reaches the model, and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import FakeModels, Project, Request, answer, llm, python, run, tool

from pilothouse.core.errors import ConnectionFault, FlowError, ModelError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.types import ChatRequest, CompletionRequest, Connection, Message, ToolCall, Usage

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
AZURE = {"cloud": Connection(name="cloud", type="azure_open_ai", configs={"api_base": "http://a"})}


def asked(
    project: Project, template: str = "user:\nhi\n", models: FakeModels | None = None, **node: Any
) -> tuple[Request, LineResult]:
    models = models or FakeModels()
    inputs = node.pop("inputs", {})
    path = project.flow(
        [llm("ask", inputs=inputs, **node)], outputs={"o": "${ask.output}"}, files={"ask.jinja2": template}
    )
    result = run(path, models=models)
    assert result.error is None, result.error
    return models.fake.requests[0], result


def test_messages_and_model_reach_the_provider(project: Project) -> None:
    request, result = asked(project, "system:\nbe kind\nuser:\n{{ q }}\n", inputs={"q": "hello"})
    assert isinstance(request, ChatRequest)
    assert request.model == "tiny"
    assert request.messages == (Message(role="system", content="be kind"), Message(role="user", content="hello"))
    assert result.outputs == {"o": "hello"}


def test_nothing_that_was_not_said_is_sent(project: Project) -> None:
    request, _ = asked(project)
    assert request == ChatRequest(model="tiny", messages=(Message(role="user", content="hi"),))


@pytest.mark.parametrize(
    ("inputs", "field", "expected"),
    [
        ({"temperature": "0.2"}, "temperature", 0.2),
        ({"temperature": 0}, "temperature", 0.0),
        ({"top_p": 1}, "top_p", 1.0),
        ({"n": "2"}, "n", 2),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")),
        ({"stop": "END"}, "stop", ("END",)),
        ({"stop": '["a"]'}, "stop", ("a",)),
        ({"stop": []}, "stop", None),
        ({"stop": ""}, "stop", None),
        ({"max_tokens": "256"}, "max_tokens", 256),
        ({"max_tokens": "inf"}, "max_tokens", None),
        ({"max_tokens": None}, "max_tokens", None),
        ({"presence_penalty": -1}, "presence_penalty", -1.0),
        ({"frequency_penalty": "0.5"}, "frequency_penalty", 0.5),
        ({"logit_bias": {"5": 1}}, "logit_bias", {"5": 1}),
        ({"logit_bias": {}}, "logit_bias", None),
        ({"user": "ann"}, "user", "ann"),
        ({"user": ""}, "user", None),
        ({"seed": 7}, "seed", 7),
        ({"seed": 0}, "seed", 0),
        ({"response_format": {"type": "json_object"}}, "response_format", {"type": "json_object"}),
        ({"response_format": '{"type": "text"}'}, "response_format", {"type": "text"}),
        ({"tools": [TOOL]}, "tools", (TOOL,)),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice", "auto"),
        ({"functions": [FUNCTION], "function_call": {"name": "f"}}, "function_call", {"name": "f"}),
        ({"max_completion_tokens": 5}, "extra", {"max_completion_tokens": 5}),
    ],
)
def test_parameters_are_sent_in_their_types(
    project: Project, inputs: dict[str, Any], field: str, expected: Any
) -> None:
    request, _ = asked(project, inputs=inputs)
    assert getattr(request, field) == expected


def test_a_json_schema_is_sent(project: Project) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}}}
    request, _ = asked(project, inputs={"response_format": form})
    assert isinstance(request, ChatRequest)
    assert request.response_format == form


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"tools": [{"type": "function"}]}, r"tools\[0\] has no 'function'"),
        ({"tools": [5]}, r"tools\[0\] is not a mapping"),
        ({"functions": [{"name": "f"}]}, r"functions\[0\] has no 'parameters'"),
        (
            {"functions": [{"name": "f", "parameters": {"type": "string", "properties": {}}}]},
            "not the JSON schema of an object",
        ),
        ({"tool_choice": {"type": "function"}}, "tool_choice has no 'function'"),
        ({"function_call": {}}, None),
        ({"function_call": {"nme": "f"}}, "function_call has no 'name'"),
        ({"response_format": "json"}, "response_format is not a mapping"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema is not a mapping"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "has no 'schema'"),
        ({"temperature": []}, "'temperature'"),
    ],
)
def test_parameters_of_a_wrong_form_are_refused_at_load(
    project: Project, inputs: dict[str, Any], message: str | None
) -> None:
    path = project.flow([llm("ask", inputs=inputs)], files={"ask.jinja2": "user:\nhi\n"})
    if message is None:
        assert load_flow(path).nodes
        return
    with pytest.raises(FlowError, match=message):
        load_flow(path)


def test_parameters_may_be_references_and_are_checked_when_they_are_known(project: Project) -> None:
    models = FakeModels()
    path = project.flow(
        [llm("ask", inputs={"temperature": "${inputs.t}"})], inputs={"t": "object"}, files={"ask.jinja2": "user:\nhi\n"}
    )
    assert run(path, {"t": "0.5"}, models=models).status == "completed"
    assert models.fake.requests[0].temperature == 0.5
    failed = run(path, {"t": "warm"}, models=models)
    assert failed.error is not None
    assert "'temperature' is 'warm'" in failed.error.message
    assert failed.error.node == "ask"
    assert failed.error.traceback is None


@pytest.mark.parametrize(
    ("connection", "inputs", "model"),
    [
        ("fake", {"model": "m"}, "m"),
        ("fake", {"model": "m", "deployment_name": "d"}, "m"),
        ("fake", {"model": "", "deployment_name": "d"}, "d"),
        ("cloud", {"deployment_name": "d"}, "d"),
        ("cloud", {"model": "m", "deployment_name": "d"}, "d"),
        ("cloud", {"model": "m"}, "m"),
        ("fake", {"model": ""}, ""),
    ],
)
def test_azure_calls_by_deployment_and_the_others_by_model(
    project: Project, connection: str, inputs: dict[str, Any], model: str
) -> None:
    request, _ = asked(
        project, models=FakeModels(connections=AZURE), connection=connection, inputs={"model": "", **inputs}
    )
    assert request.model == model


def test_the_completion_api_gets_the_text_as_it_is(project: Project) -> None:
    template = "system:\nnot a role here {{ q }}\n"
    inputs = {"q": "user:\nx", "suffix": "!", "logprobs": 2, "echo": True, "best_of": "3", "max_tokens": 16}
    request, result = asked(project, template, api="completion", inputs=inputs)
    assert request == CompletionRequest(
        model="tiny",
        prompt="system:\nnot a role here user:\nx\n",
        suffix="!",
        logprobs=2,
        echo=True,
        best_of=3,
        max_tokens=16,
    )
    assert result.outputs["o"] == request.prompt


def calls(_: Request) -> Any:
    return answer(message=Message(role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a": 1}'),)))


def test_an_answer_with_tools_is_the_message(project: Project) -> None:
    _, result = asked(project, models=FakeModels(calls), inputs={"tools": [TOOL]})
    assert result.outputs["o"] == {
        "role": "assistant",
        "content": None,
        "function_call": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    }


def test_an_answer_with_functions_is_the_message(project: Project) -> None:
    def reply(_: Request) -> Any:
        return answer(
            message=Message(role="assistant", content="x", function_call=ToolCall(id="", name="f", arguments="{}"))
        )

    _, result = asked(project, models=FakeModels(reply), inputs={"functions": [FUNCTION]})
    assert result.outputs["o"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert result.outputs["o"]["content"] == "x"


def test_tools_win_over_functions(project: Project) -> None:
    request, _ = asked(project, inputs={"tools": [TOOL], "functions": [FUNCTION], "function_call": "auto"})
    assert isinstance(request, ChatRequest)
    assert (request.functions, request.function_call) == (None, None)
    assert request.tools == (TOOL,)


def test_a_property_of_a_tool_call_can_be_read_by_the_next_node(project: Project) -> None:
    nodes = [
        llm("ask", inputs={"tools": [TOOL]}),
        python("f", inputs={"arguments": "${ask.output.tool_calls[0].function.arguments}"}),
    ]
    path = project.flow(
        nodes,
        outputs={"o": "${f.output}"},
        files={"ask.jinja2": "user:\nhi\n", "f.py": tool("f", "arguments", "return arguments")},
    )
    assert run(path, models=FakeModels(calls)).outputs == {"o": {"a": 1}} or run(
        path, models=FakeModels(calls)
    ).outputs == {"o": '{"a": 1}'}


@pytest.mark.parametrize("stream", [True, "true"])
def test_a_streamed_answer_is_joined(project: Project, stream: Any) -> None:
    models = FakeModels()
    request, result = asked(project, "user:\none two three\n", models=models, inputs={"stream": stream})
    assert models.fake.streamed == 1
    assert "stream" not in request.extra
    assert result.outputs["o"].split() == ["one", "two", "three"]
    assert result.usage == Usage(input_tokens=10, output_tokens=2)


def test_stream_false_is_no_stream(project: Project) -> None:
    models = FakeModels()
    asked(project, models=models, inputs={"stream": "false"})
    assert models.fake.streamed == 0


def test_usage_provider_and_model_are_recorded(project: Project) -> None:
    _, result = asked(project)
    node = result.nodes[0]
    assert (node.usage, node.provider, node.model) == (Usage(input_tokens=10, output_tokens=2), "fake", "tiny-1")
    assert result.usage == Usage(input_tokens=10, output_tokens=2)
    assert node.cached_usage is None


def test_what_the_provider_refuses_fails_the_line_without_a_traceback(project: Project) -> None:
    def reply(_: Request) -> Any:
        raise ModelError("the key is not accepted", status=401, where="fake")

    path = project.flow([llm("ask")], files={"ask.jinja2": "user:\nhi\n"})
    result = run(path, models=FakeModels(reply))
    assert result.status == "failed"
    assert result.error is not None
    assert (result.error.type, result.error.node, result.error.traceback) == ("ModelError", "ask", None)
    assert "the key is not accepted" in result.error.message


def test_a_defect_of_a_provider_costs_one_line_and_says_where(project: Project) -> None:
    def reply(_: Request) -> Any:
        raise KeyError("choices")

    result = run(project.flow([llm("ask")], files={"ask.jinja2": "user:\nhi\n"}), models=FakeModels(reply))
    assert result.error is not None
    assert result.error.message.startswith("a defect")
    assert "KeyError" in (result.error.traceback or "")


def test_a_prompt_without_a_role_fails_the_line_with_the_template(project: Project) -> None:
    path = project.flow([llm("ask", inputs={"said": "hello"})], files={"ask.jinja2": "{{said}}\n"})
    result = run(path, models=FakeModels())
    assert result.error is not None
    assert "begins with a role" in result.error.message
    assert "ask.jinja2" in result.error.message


def opened(path: Path, **options: Any) -> FlowRunner:
    return FlowRunner(load_flow(path), **options).open()


def test_a_missing_connection_is_told_when_the_flow_is_opened(project: Project) -> None:
    path = project.flow([llm("ask", connection="nowhere")], files={"ask.jinja2": "user:\nhi\n"})
    with pytest.raises(ConnectionFault, match="nowhere") as caught:
        opened(path, models=FakeModels())
    assert "node 'ask' at" in str(caught.value)


def test_a_node_without_a_connection_uses_the_default_one_or_says_so(project: Project) -> None:
    path = project.flow([llm("ask", connection=None)], files={"ask.jinja2": "user:\nhi\n"})
    with pytest.raises(FlowError, match="names no connection") as caught:
        opened(path, models=FakeModels())
    assert "flows.default_connection" in str(caught.value)
    assert opened(path, models=FakeModels(), settings=FlowSettings(default_connection="fake"))
    with pytest.raises(FlowError, match="no models are at hand"):
        opened(path, settings=FlowSettings(default_connection="fake"))


def test_a_run_may_replace_connection_and_inputs_of_nodes(project: Project) -> None:
    models = FakeModels(connections=AZURE)
    path = project.flow([llm("ask", inputs={"model": "m", "temperature": 1})], files={"ask.jinja2": "user:\nhi\n"})
    changes = {"ask": {"connection": "cloud", "deployment_name": "d", "temperature": 0}}
    assert run(path, models=models, connections=changes).status == "completed"
    assert (models.fake.requests[0].model, models.fake.requests[0].temperature) == ("d", 0.0)
    with pytest.raises(FlowError, match="does not have") as caught:
        opened(path, models=models, connections={"aks": {"connection": "cloud"}})
    assert "did you mean 'ask'?" in str(caught.value)


def test_legacy_provider_and_module_are_accepted(project: Project) -> None:
    request, _ = asked(project, provider="AzureOpenAI", module="promptflow.tools.aoai", api="chat")
    assert request.model == "tiny"
