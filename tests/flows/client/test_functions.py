"""Flows and prompties called as functions, and what a context changes in them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest
from tests.flows.building import write

from pilothouse.flows.client.functions import AsyncFlow, Flow, load_client_flow
from pilothouse.flows.client.prompties import AsyncPrompty, Prompty
from pilothouse.flows.flex.configurations import OpenAIModelConfiguration
from pilothouse.flows.promptflow.connections import AzureOpenAIConnection, OpenAIConnection
from pilothouse.flows.promptflow.contexts import FlowContext
from pilothouse.flows.promptflow.faults import UserErrorException

pytestmark = pytest.mark.usefixtures("project")


def test_a_flow_is_called() -> None:
    flow = Flow.load(source="flow")
    assert flow(question="my parcel") == flow.invoke({}).output == {"team": "shipping!"}
    assert (flow.name, flow.path.name, flow.code.name) == ("flow", "flow.dag.yaml", "flow")
    assert flow.invoke({}).run_info.nodes[0].node == "ask"
    with pytest.raises(UserErrorException, match="inputs by name"):
        flow("my parcel")
    for call in (lambda: flow(question="bad"), lambda: flow.invoke({"question": "bad"}), lambda: Flow.load("none")):
        with pytest.raises(UserErrorException):
            call()


def test_a_flow_is_awaited() -> None:
    async def go() -> list[Any]:
        flow = AsyncFlow.load("flow")
        prompty = AsyncFlow.load("ask.prompty")
        return [await flow(question="x"), (await flow.invoke({})).output, await prompty(question="parcel"), flow]

    first, second, third, flow = asyncio.run(go())
    assert (first, second, third) == ({"team": "other!"}, {"team": "shipping!"}, "shipping")
    with pytest.raises(UserErrorException, match="a bad row"):
        asyncio.run(flow(question="bad"))


@pytest.mark.parametrize(
    ("context", "team"),
    [
        ({}, "shipping!"),
        ({"variant": "${ask.other}"}, "other!"),
        ({"overrides": {"nodes.route.inputs.suffix": "#"}}, "shipping#"),
        ({"overrides": {"inputs.question.default": "hello"}}, "other!"),
        ({"overrides": {"nodes.ask.connection": "scripted"}}, "shipping!"),
        ({"connections": {"route": {"suffix": "?"}}}, "shipping?"),
    ],
)
def test_a_context_changes_a_flow(context: dict[str, Any], team: str) -> None:
    flow = load_client_flow("flow")
    flow.context = FlowContext(**context)
    assert flow() == {"team": team}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"nodes.rout.inputs.suffix": "#"}, "did you mean 'route'"),
        ({"node.route.suffix": "#"}, "cannot be overridden"),
        ({"inputs.q.default": "#"}, "no input 'q'"),
        ({"nodes.route.inputs.suffix": "${inputs.question}"}, "is overridden with the reference"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(overrides: dict[str, Any], says: str) -> None:
    flow = load_client_flow("flow")
    flow.context = FlowContext(overrides=overrides)
    with pytest.raises(UserErrorException, match=says):
        flow()


def test_variables_of_a_flow_are_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIM_TEST_SUFFIX", "")
    flow = load_client_flow("flow")
    flow.context.overrides["environment_variables.SHIM_TEST_SUFFIX"] = "#"
    assert flow() == {"team": "shipping!#"}


def test_a_connection_may_be_given_as_an_object(project: Path) -> None:
    files = {
        "keys/flow.dag.yaml": """
            outputs:
              o: {type: string, reference: "${show.output}"}
            nodes:
              - name: show
                type: python
                source: {type: code, path: show.py}
                inputs: {c: missing}
        """,
        "keys/show.py": """
            from promptflow.connections import OpenAIConnection
            from promptflow.core import tool

            @tool
            def show(c: OpenAIConnection):
                return [c.base_url, len(c.api_key), c.api_key]
        """,
    }
    write(project, files)
    flow = load_client_flow("keys")
    with pytest.raises(UserErrorException, match="no connection 'missing'"):
        flow()
    given = OpenAIConnection(api_key="given-secret-key", base_url="http://given")
    flow.context = FlowContext(connections={"show": {"c": given}})
    assert flow() == {"o": ["http://given", 16, "***"]}
    flow.context = FlowContext(connections={"show": {"c": AzureOpenAIConnection("http://a", "k" * 9)}})
    with pytest.raises(UserErrorException, match="azure_open_ai"):
        flow()


def test_a_context_is_compared_by_what_it_holds() -> None:
    assert FlowContext(variant="${a.b}") == FlowContext(variant="${a.b}") != FlowContext()
    assert "variant" in repr(FlowContext(variant="${a.b}"))


def test_a_prompty_is_called() -> None:
    prompty = Prompty.load(source="ask.prompty")
    assert prompty(question="parcel") == "shipping"
    assert prompty() == "shipping"
    assert Flow.load("ask.prompty")(question="x") == "other"
    assert prompty.render(question="x") == str(
        [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "x"},
        ]
    )
    assert prompty.estimate_token_count(question="x" * 400) == 20 + 3 + 100 + 8
    assert asyncio.run(AsyncPrompty.load("ask.prompty")(question="parcel")) == "shipping"
    assert Prompty.load("ask.prompty", sample={"question": "hello"})() == "other"


def test_a_prompty_streams_where_it_says_so(project: Path) -> None:
    text = (project / "ask.prompty").read_text()
    (project / "stream.prompty").write_text(text.replace("max_tokens: 20", "stream: true"))
    found = Prompty.load("stream.prompty")(question="parcel")
    assert isinstance(found, GeneratorType)
    assert "".join(found) == "shipping"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Prompty.load("none.prompty"), "no such flow"),
        (lambda: Prompty.load("flow"), "is not a prompty"),
        (lambda: Prompty.load("ask.prompty", inputs={}), "not loaded with 'inputs'"),
        (lambda: Prompty.load("ask.prompty", model={"name": "x"}), "has no 'name'"),
        (lambda: Prompty.load("ask.prompty", model={"configuration": 3}), "is int"),
        (lambda: Prompty.load("ask.prompty")("x"), "inputs by name"),
        (lambda: Prompty.load("ask.prompty")(x="y"), "no value for the input 'question'"),
        (lambda: Prompty.load("ask.prompty").render(x="y"), "no value for the input 'question'"),
        (
            lambda: Prompty.load("ask.prompty", model={"parameters": {"max_tokens": 1}}).estimate_token_count(),
            "max_tokens is 1",
        ),
    ],
)
def test_a_prompty_that_cannot_work_says_why(call: Any, says: str) -> None:
    with pytest.raises(UserErrorException, match=says):
        call()


@pytest.mark.parametrize(
    ("model", "kind", "configuration", "parameters", "connection"),
    [
        ({}, "", {}, {"model": "scripted", "max_tokens": 20}, "scripted"),
        ({"parameters": {"temperature": 0}}, "", {}, {"model": "scripted", "max_tokens": 20, "temperature": 0}, "scripted"),
        ({"configuration": {"model": "other"}}, "", {}, {"model": "other", "max_tokens": 20}, "scripted"),
        (
            {"configuration": {"type": "azure_openai", "azure_deployment": "d", "azure_endpoint": "http://a"}},
            "azure_open_ai", {"api_base": "http://a"}, {"model": "d", "max_tokens": 20}, None,
        ),
        (
            {"configuration": OpenAIModelConfiguration(model="m", base_url="http://o", api_key="k")},
            "open_ai", {"base_url": "http://o", "api_key": "k"}, {"model": "m", "max_tokens": 20}, None,
        ),
        (
            {"configuration": OpenAIModelConfiguration(model="m", connection="mine")},
            "", {}, {"model": "m", "max_tokens": 20}, "mine",
        ),
    ],
)  # fmt: skip
def test_the_model_of_a_prompty_is_changed(
    model: dict[str, Any], kind: str, configuration: dict[str, Any], parameters: dict[str, Any], connection: str | None
) -> None:
    flow = Prompty.load("ask.prompty", model=model).flow
    assert flow.prompty is not None
    assert (flow.prompty.type, flow.prompty.configuration, flow.prompty.parameters) == (kind, configuration, parameters)
    assert flow.nodes[0].connection == connection
