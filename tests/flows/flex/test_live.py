"""Functions, classes and instances that live in this process, as flows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from pilothouse import load_flow
from pilothouse.core.errors import FlowError
from pilothouse.flows.flex.configurations import OpenAIModelConfiguration
from pilothouse.flows.function import load_function
from pilothouse.flows.nodes.opening import INIT
from pilothouse.flows.promptflow.connections import CustomConnection
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner


def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


async def later(text: str) -> dict[str, str]:
    return {"text": text}


def letters(text: str) -> Any:
    yield from text


def free(**given: Any) -> dict[str, Any]:
    return given


@dataclass
class Mark:
    points: int


class Grade:
    def __init__(self, weight: int, note: str = "") -> None:
        self.weight = weight

    def __call__(self, answer: str) -> Mark:
        return Mark(self.weight * len(answer))

    def __aggregate__(self, lines: list[Any]) -> dict[str, float]:
        return {"sum": sum(line.points for line in lines)}

    def method(self, answer: str) -> int:
        return self.weight + len(answer)


class Mute:
    pass


class Twice:
    def __call__(self, x: int) -> int:
        return x

    def __aggregate__(self, a: list[Any], b: list[Any]) -> None: ...


def ran(
    entry: Any, *rows: dict[str, Any], init: dict[str, Any] | None = None
) -> tuple[list[LineResult], AggregationResult]:
    async def go() -> tuple[list[LineResult], AggregationResult]:
        async with FlowRunner(load_flow(entry), connections={INIT: init} if init else None) as runner:
            lines = [await runner.run_line(row, line_number=number) for number, row in enumerate(rows)]
            return lines, await runner.aggregate(lines)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("entry", "inputs", "outputs"),
    [
        (shout, {"text": "a"}, {"output": "A"}),
        (shout, {"text": "a", "times": "2"}, {"output": "AA"}),
        (later, {"text": "a"}, {"text": "a"}),
        (letters, {"text": "abc"}, {"output": "abc"}),
        (Grade(3), {"answer": "ab"}, {"points": 6}),
        (Grade(3).method, {"answer": "ab"}, {"output": 5}),
        (lambda x: x + 1, {"x": 1}, {"output": 2}),
    ],
)
def test_what_can_be_called_is_a_flow(entry: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    lines, _ = ran(entry, inputs)
    assert lines[0].error is None
    assert lines[0].outputs == outputs


def test_a_class_is_made_once_and_aggregates() -> None:
    lines, made = ran(Grade, {"answer": "ab"}, {"answer": "a"}, init={"weight": "2"})
    assert [line.outputs for line in lines] == [{"points": 4}, {"points": 2}]
    assert made.metrics == {"sum": 6.0}
    assert ran(Grade(5), {"answer": "a"})[1].metrics == {"sum": 5.0}


def test_what_it_takes_and_gives_is_read_from_it() -> None:
    flow = load_flow(shout)
    assert (flow.kind, flow.name, flow.entry) == ("function", "shout", f"{__name__}:shout")
    assert {name: (item.type, item.has_default) for name, item in flow.inputs.items()} == {
        "text": ("string", False),
        "times": ("int", True),
    }
    assert list(flow.outputs) == ["output"]
    assert list(load_flow(Grade).outputs) == ["points"]
    assert {name: item.has_default for name, item in load_flow(Grade).init.items()} == {"weight": False, "note": True}
    assert __file__ in flow.nodes[0].where


def test_the_same_source_is_the_same_version() -> None:
    assert load_flow(shout).digest == load_flow(shout).digest != load_flow(later).digest
    made: dict[str, Any] = {}
    exec("def one(x): return x\ndef two(x): return x + 2", made)  # no source to read
    assert load_flow(made["one"]).digest != load_flow(made["two"]).digest


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (Mute, "has no __call__"),
        (Twice, "__aggregate__ takes 2 parameters"),
        (lambda x, /: x, "only be given by its place"),
        (dict.fromkeys, "only be given by its place|cannot be told"),
    ],
)
def test_what_cannot_be_a_flow_is_refused(entry: Any, says: str) -> None:
    with pytest.raises(FlowError, match=says):
        load_flow(entry)


def test_a_partial_function_is_called_with_the_rest() -> None:
    assert ran(partial(shout, times=3), {"text": "a"})[0][0].outputs == {"output": "AAA"}


def test_a_failing_function_fails_its_line() -> None:
    lines, _ = ran(lambda x: 1 / x, {"x": 0})
    assert lines[0].error is not None
    assert lines[0].error.type == "ZeroDivisionError"


def test_a_live_function_is_called_as_a_function(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_function(shout)(text="a") == {"output": "A"}


class Asks:
    def __init__(self, model: OpenAIModelConfiguration) -> None:
        self.model = model

    def __call__(self, text: str) -> dict[str, Any]:
        return {"key": f"<{self.model.api_key}>", "text": text}


def test_the_key_of_a_model_configuration_is_not_recorded() -> None:
    model = OpenAIModelConfiguration(model="m", api_key="a-very-secret-key", base_url="http://x")
    lines, _ = ran(Asks, {"text": "hi"}, init={"model": model})
    assert lines[0].outputs == {"key": "<***>", "text": "hi"}
    assert "a-very-secret-key" not in str(lines)


class Connected:
    def __init__(self, shop: CustomConnection) -> None:
        self.shop = shop

    def __call__(self, text: str) -> str:
        return text + self.shop.token


def test_the_secrets_of_a_connection_object_are_not_recorded() -> None:
    shop = CustomConnection(secrets={"token": "a-very-secret-key"})
    lines, _ = ran(Connected, {"text": "x"}, init={"shop": shop})
    assert lines[0].outputs == {"output": "x***"}
