"""`@trace` on functions of every kind: what they do is unchanged, what they did is recorded."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace as otel

from pilothouse.tracing import conventions as names
from pilothouse.tracing import decorator
from pilothouse.tracing.decorator import trace

from .recording import Capture


@pytest.fixture
def recorded(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the decorator use a tracer of the test's own; returns what gives the records, by name."""
    monkeypatch.setattr(decorator, "_tracer", capture.tracer)

    def records() -> dict[str, dict[str, Any]]:
        capture.flush()
        return {line["name"].rsplit(".", 1)[-1]: line for line in capture.lines()}

    return records


def arguments(line: dict[str, Any]) -> Any:
    return json.loads(line["attributes"][names.ARGUMENTS])


def result(line: dict[str, Any]) -> Any:
    return json.loads(line["attributes"][names.RESULT])


def test_a_function(recorded: Any) -> None:
    @trace
    def add(a: int, b: int = 2, *rest: int, **more: int) -> int:
        """Add."""
        return a + b

    assert add(1, more=5) == 3
    line = recorded()["add"]
    assert (arguments(line), result(line)) == ({"a": 1, "more": {"more": 5}}, 3)
    assert line["name"] == "test_a_function.<locals>.add"
    assert line["attributes"][names.FUNCTION].endswith("test_decorator.test_a_function.<locals>.add")
    assert (add.__name__, add.__doc__, list(inspect.signature(add).parameters)) == (
        "add",
        "Add.",
        ["a", "b", "rest", "more"],
    )


def test_options(recorded: Any) -> None:
    @trace(name="named", capture=False)
    def quiet(text: str) -> str:
        return text

    quiet("private")
    line = recorded()["named"]
    assert names.ARGUMENTS not in line["attributes"]
    assert names.RESULT not in line["attributes"]


def test_secrets_are_hidden(recorded: Any) -> None:
    @trace
    def call(api_key: str, prompt: str, max_tokens: int) -> dict[str, str]:
        return {"token": api_key}

    call("sk-1", prompt="hi", max_tokens=5)
    line = recorded()["call"]
    assert arguments(line) == {"api_key": "***", "prompt": "hi", "max_tokens": 5}
    assert result(line) == {"token": "***"}
    assert "sk-1" not in json.dumps(line)


def test_an_error_is_recorded_and_raised_unchanged(recorded: Any) -> None:
    class Odd(ValueError):
        pass

    @trace
    def fail() -> None:
        raise Odd("it broke")

    with pytest.raises(Odd) as raised:
        fail()
    assert raised.value.__context__ is None
    line = recorded()["fail"]
    assert (line["status"], line["status_message"]) == ("error", "Odd: it broke")
    assert line["attributes"][names.ERROR_TYPE].endswith("Odd")
    assert len(line["events"]) == 1
    assert "it broke" in line["events"][0]["attributes"]["exception.message"]


def test_an_error_whose_text_raises_does_not_hide_itself(recorded: Any) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @trace
    def fail() -> None:
        raise Mute

    with pytest.raises(Mute):
        fail()
    assert recorded()["fail"]["status_message"] == "Mute, whose text raised RuntimeError"


def test_calls_nest(recorded: Any) -> None:
    @trace
    def inner() -> None: ...

    @trace
    def outer() -> None:
        inner()

    outer()
    lines = recorded()
    assert lines["inner"]["parent_id"] == lines["outer"]["span_id"]
    assert lines["inner"]["trace_id"] == lines["outer"]["trace_id"]


def test_methods(recorded: Any) -> None:
    class Greeter:
        @trace
        def greet(self, name: str) -> str:
            return f"hello {name}"

        @classmethod
        @trace
        def make(cls, name: str) -> str:
            return cls().greet(name)

        @staticmethod
        @trace
        def shout(name: str) -> str:
            return name.upper()

    assert (Greeter.make("a"), Greeter.shout("b")) == ("hello a", "B")
    assert [arguments(recorded()[name]) for name in ("greet", "make", "shout")] == [
        {"name": "a"},
        {"name": "a"},
        {"name": "b"},
    ]


def test_a_wrong_call_fails_as_without_the_decorator(recorded: Any) -> None:
    @trace
    def one(a: int) -> None: ...

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        one()  # type: ignore[call-arg]
    assert arguments(recorded()["one"]) == {"args": [], "kwargs": {}}


def test_a_coroutine(recorded: Any) -> None:
    @trace
    async def inner() -> int:
        await asyncio.sleep(0)
        return 1

    @trace
    async def outer() -> int:
        return sum(await asyncio.gather(inner(), inner()))

    assert inspect.iscoroutinefunction(outer)
    assert asyncio.run(outer()) == 2
    lines = recorded()
    assert lines["inner"]["parent_id"] == lines["outer"]["span_id"]
    assert result(lines["outer"]) == 2


def test_a_cancelled_coroutine(recorded: Any) -> None:
    @trace
    async def sleep() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(sleep())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorded()["sleep"]["attributes"][names.ERROR_TYPE] == "CancelledError"


def test_a_generator(recorded: Any) -> None:
    outside: list[bool] = []

    @trace
    def talk(first: str) -> Generator[str, str, int]:
        answer = yield first
        try:
            yield answer.upper()
        except KeyError:
            yield "caught"
        return 7

    assert inspect.isgeneratorfunction(talk)
    generator = talk("hi")
    assert next(generator) == "hi"
    outside.append(otel.get_current_span().get_span_context().is_valid)
    assert generator.send("there") == "THERE"
    assert generator.throw(KeyError("x")) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == 7
    assert outside == [False], "the span is current only while the generator itself runs"
    line = recorded()["talk"]
    assert (result(line), line["attributes"][names.ITEM_COUNT]) == (["hi", "THERE", "caught"], 3)
    assert line["status"] == "unset"


def test_a_generator_that_is_closed_early(recorded: Any) -> None:
    closed: list[bool] = []

    @trace
    def count() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    for item in count():
        if item == 2:
            break
    assert closed == [True]
    line = recorded()["count"]
    assert (result(line), line["attributes"][names.CLOSED_EARLY], line["status"]) == ([0, 1, 2], True, "unset")


def test_a_generator_that_fails(recorded: Any) -> None:
    @trace
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("broke")

    generator = fail()
    assert next(generator) == 1
    with pytest.raises(ValueError, match="broke"):
        next(generator)
    assert recorded()["fail"]["status_message"] == "ValueError: broke"


def test_a_generator_of_very_many_items_keeps_the_first(recorded: Any) -> None:
    @trace
    def count() -> Iterator[int]:
        yield from range(100_000)

    assert sum(1 for _ in count()) == 100_000
    line = recorded()["count"]
    assert line["attributes"][names.ITEM_COUNT] == 100_000
    assert result(line)[-1] == "… 99800 more items"


def test_an_async_generator(recorded: Any) -> None:
    @trace
    async def inner() -> None: ...

    @trace
    async def talk() -> AsyncGenerator[int, int]:
        got = yield 1
        await inner()
        try:
            yield got * 2
        except KeyError:
            yield 99

    async def main() -> list[int]:
        generator = talk()
        found = [await anext(generator), await generator.asend(21), await generator.athrow(KeyError("x"))]
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        return found

    assert inspect.isasyncgenfunction(talk)
    assert asyncio.run(main()) == [1, 42, 99]
    lines = recorded()
    assert result(lines["talk"]) == [1, 42, 99]
    assert lines["inner"]["parent_id"] == lines["talk"]["span_id"]


def test_an_async_generator_closed_early_or_failing(recorded: Any) -> None:
    closed: list[bool] = []

    @trace
    async def count() -> AsyncGenerator[int, None]:
        try:
            for number in range(10):
                yield number
        finally:
            closed.append(True)

    @trace
    async def fail() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broke")

    async def main() -> None:
        generator = count()
        await anext(generator)
        await generator.aclose()
        with pytest.raises(ValueError, match="broke"):
            [item async for item in fail()]

    asyncio.run(main())
    assert closed == [True]
    lines = recorded()
    assert lines["count"]["attributes"][names.CLOSED_EARLY] is True
    assert lines["fail"]["status"] == "error"


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_without_a_recorder_everything_works_and_nothing_is_captured(kind: str) -> None:
    class Watched:
        def __repr__(self) -> str:
            raise AssertionError("looked at")

    @trace
    def function(value: Any) -> Any:
        return value

    @trace
    async def coroutine(value: Any) -> Any:
        return value

    @trace
    def generator(value: Any) -> Iterator[Any]:
        yield value

    @trace
    async def async_generator(value: Any) -> AsyncGenerator[Any, None]:
        yield value

    async def first(items: AsyncGenerator[Any, None]) -> Any:
        return await anext(items)

    value = Watched()
    given = {
        "function": lambda: function(value),
        "coroutine": lambda: asyncio.run(coroutine(value)),
        "generator": lambda: next(generator(value)),
        "async generator": lambda: asyncio.run(first(async_generator(value))),
    }[kind]()
    assert given is value
