"""Flows called as functions whose outputs come piece by piece, while the line goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import pytest
from tests.flows.building import write

from pilothouse.core.errors import UserCodeError
from pilothouse.flows.client.functions import AsyncFlow, Flow, load_client_flow
from pilothouse.flows.function import FlowFunction, load_function
from pilothouse.flows.promptflow.contexts import FlowContext

pytestmark = pytest.mark.usefixtures("project")


def streaming(source: Callable[..., Any]) -> FlowFunction:
    flow = load_function(source)
    flow.context.streaming = True
    return flow


def until(condition: Callable[[], bool]) -> bool:
    """Wait for what another thread does; only a test that fails waits long."""
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_piece_is_there_before_the_next_is_made() -> None:
    go_on = threading.Event()

    def slow() -> Generator[str]:
        yield "first "
        assert go_on.wait(10)
        yield "second"

    answer = streaming(slow)()["output"]
    assert isinstance(answer, GeneratorType)
    assert next(answer) == "first "
    go_on.set()
    assert list(answer) == ["second"]


def test_who_leaves_early_stops_the_line() -> None:
    closed = threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    answer = streaming(endless)()["output"]
    assert next(answer) == 1
    answer.close()
    assert closed.wait(10)
    assert until(lambda: not any(thread.name == "flow-stream" for thread in threading.enumerate()))


def test_a_stream_that_nobody_asks_ends_when_it_is_dropped() -> None:
    closed = threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    found = streaming(endless)()
    del found
    assert closed.wait(10)


def test_leaving_a_line_that_has_ended_already_is_no_mistake() -> None:
    def short() -> Generator[str]:
        yield "a"
        yield "b"

    answer = streaming(short)()["output"]
    assert next(answer) == "a"
    assert until(lambda: not any(thread.name == "flow-stream" for thread in threading.enumerate()))
    answer.close()
    assert list(answer) == []


def test_a_line_is_not_far_ahead_of_who_listens() -> None:
    made = []

    def endless() -> Generator[int]:
        for number in range(100_000):
            made.append(number)
            yield number

    answer = streaming(endless)()["output"]
    assert [next(answer) for _ in range(10)] == list(range(10))
    time.sleep(0.2)
    assert len(made) < 500
    answer.close()


def test_a_failure_comes_where_it_happens() -> None:
    def breaks() -> Generator[str]:
        yield "so far "
        raise ValueError("and no further")

    answer = streaming(breaks)()["output"]
    assert next(answer) == "so far "
    with pytest.raises(UserCodeError, match="and no further"):
        next(answer)

    def fails() -> Generator[str]:
        raise ValueError("at once")
        yield ""

    with pytest.raises(UserCodeError, match="at once"):
        streaming(fails)()


def test_outputs_beside_a_stream_are_there_as_they_are() -> None:
    def both() -> dict[str, Any]:
        return {"answer": (letter for letter in "abc"), "count": 3}

    found = streaming(both)()
    assert found["count"] == 3
    assert "".join(found["answer"]) == "abc"


def test_an_llm_node_at_the_end_streams_as_prompt_flow_s_does() -> None:
    flow = load_client_flow("flow")
    assert flow(question="my parcel") == {"team": "shipping!"}
    flow.context = FlowContext(streaming=True)
    # The model's answer is read by a tool here: nothing of this flow comes in pieces.
    assert flow(question="my parcel") == {"team": "shipping!"}


def test_the_model_s_pieces_arrive(project: Any) -> None:
    flow = """
        inputs: {question: {type: string}}
        outputs: {team: {type: string, reference: "${ask.output}"}}
        nodes:
          - {name: ask, type: llm, source: {type: code, path: ask.jinja2}, connection: scripted, api: chat,
             inputs: {model: scripted, question: "${inputs.question}"}}
    """
    write(project, {"talk/flow.dag.yaml": flow, "talk/ask.jinja2": "user:\n{{question}}\n"})
    answer = Flow.load("talk")(question="my parcel")["team"]
    assert isinstance(answer, GeneratorType)
    assert "".join(answer) == "shipping"

    async def go() -> str:
        answer = (await AsyncFlow.load("talk")(question="my parcel"))["team"]
        assert isinstance(answer, AsyncGeneratorType)
        return "".join([piece async for piece in answer])

    assert asyncio.run(go()) == "shipping"
