"""Outputs that are heard while their line runs: which stream, in what order, with whose pace, and how they stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.listening import WAITING, Event, Known, Piece
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.types import ChatChunk, ChatRequest, Usage

from ..building import FakeModels, MemoryCache, Project, llm, python, tool, write

ASK = {"ask.jinja2": "user:\n{{text}}\n"}


def heard(path: Path, inputs: Mapping[str, Any], **options: Any) -> tuple[list[Event], LineResult]:
    async def go() -> tuple[list[Event], LineResult]:
        async with FlowRunner(load_flow(path), **options) as runner, runner.stream_line(inputs) as stream:
            events = [event async for event in stream]
            return events, stream.result

    return asyncio.run(asyncio.wait_for(go(), 30))


def pieces(events: list[Event], output: str) -> list[Any]:
    return [event.value for event in events if isinstance(event, Piece) and event.output == output]


def known(events: list[Event]) -> dict[str, Any]:
    return {name: value for event in events if isinstance(event, Known) for name, value in event.outputs.items()}


def asking(
    project: Project, outputs: dict[str, str], *more: dict[str, Any], files: dict[str, str] | None = None
) -> Path:
    nodes = [*more, llm("ask", inputs={"text": "${inputs.text}"})]
    return project.flow(nodes, inputs={"text": "string"}, outputs=outputs, files={**ASK, **(files or {})})


def test_pieces_of_an_llm_node_come_behind_what_is_known(project: Project) -> None:
    path = asking(project, {"text": "${inputs.text}", "answer": "${ask.output}", "size": "${size.output}"},
                  python("size", inputs={"text": "${inputs.text}"}),
                  files={"size.py": tool("size", "text: str", "return len(text)")})  # fmt: skip
    models = FakeModels()
    events, line = heard(path, {"text": "one two three"}, models=models)
    assert [type(event) for event in events] == [Known, Piece, Piece, Piece]
    assert known(events) == {"text": "one two three", "size": 13}
    assert pieces(events, "answer") == ["one ", "two ", "three "]
    assert line.outputs == {"text": "one two three", "answer": "one two three ", "size": 13}
    assert (line.usage, models.fake.streamed) == (Usage(input_tokens=10, output_tokens=2), 1)


def test_a_line_that_nobody_hears_asks_for_no_stream(project: Project) -> None:
    models = FakeModels()

    async def go() -> LineResult:
        async with FlowRunner(load_flow(asking(project, {"answer": "${ask.output}"})), models=models) as runner:
            return await runner.run_line({"text": "a b"})

    assert (asyncio.run(go()).outputs, models.fake.streamed) == ({"answer": "a b"}, 0)


def test_a_node_that_another_one_reads_does_not_stream(project: Project) -> None:
    path = asking(project, {"answer": "${ask.output}", "loud": "${loud.output}"},
                  python("loud", inputs={"text": "${ask.output}"}),
                  files={"loud.py": tool("loud", "text: str", "return text.upper()")})  # fmt: skip
    models = FakeModels()
    events, line = heard(path, {"text": "a b"}, models=models)
    assert (events, models.fake.streamed) == ([Known(line.outputs)], 0)
    assert line.outputs == {"answer": "a b", "loud": "A B"}


def test_an_output_that_reads_into_a_node_does_not_stream(project: Project) -> None:
    gen = "def gen():\n    yield 'a'\n"
    path = project.flow([python("gen")], outputs={"x": "${gen.output[0]}"}, files={"gen.py": f"from pilothouse import tool\n@tool\n{gen}"})  # fmt: skip
    events, line = heard(path, {})
    assert (events, line.outputs) == ([Known({"x": "a"})], {"x": "a"})


def test_a_node_behind_two_outputs_gives_its_pieces_to_both(project: Project) -> None:
    events, line = heard(
        asking(project, {"a": "${ask.output}", "b": "${ask.output}"}), {"text": "x y"}, models=FakeModels()
    )
    assert pieces(events, "a") == pieces(events, "b") == ["x ", "y "]
    assert line.outputs == {"a": "x y ", "b": "x y "}


GENERATORS = {
    "sync": "@tool\ndef gen(n: int):\n    for i in range(n):\n        yield f'{i},'\n",
    "async": "@tool\nasync def gen(n: int):\n    for i in range(n):\n        yield f'{i},'\n",
    "sync returned": "def made(n):\n    for i in range(n):\n        yield f'{i},'\n@tool\ndef gen(n: int):\n    return made(n)\n",
    "async from sync": "async def made(n):\n    for i in range(n):\n        yield f'{i},'\n@tool\ndef gen(n: int):\n    return made(n)\n",
    "async from async": "async def made(n):\n    for i in range(n):\n        yield f'{i},'\n@tool\nasync def gen(n: int):\n    return made(n)\n",
    "sync from async": "def made(n):\n    for i in range(n):\n        yield f'{i},'\n@tool\nasync def gen(n: int):\n    return made(n)\n",
}


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("timeout", [None, 20.0])
def test_generators_of_every_kind_stream(project: Project, kind: str, timeout: float | None) -> None:
    path = project.flow([python("gen", inputs={"n": "${inputs.n}"})], inputs={"n": "int"}, outputs={"out": "${gen.output}"},
                        files={"gen.py": f"from pilothouse import tool\n{GENERATORS[kind]}"})  # fmt: skip
    count = WAITING * 3
    events, line = heard(path, {"n": count}, settings=FlowSettings(node_timeout=timeout))
    assert pieces(events, "out") == [f"{i}," for i in range(count)]
    assert line.outputs == {"out": "".join(f"{i}," for i in range(count))}


def test_a_tool_is_asked_to_stream_by_its_own_parameter(project: Project) -> None:
    source = """
    from pilothouse import tool
    @tool(streaming_option_parameter="bit_by_bit")
    def say(text: str, bit_by_bit: bool = False):
        return (letter for letter in text) if bit_by_bit else text.upper()
    """
    path = project.flow([python("say", inputs={"text": "${inputs.text}"})], inputs={"text": "string"},
                        outputs={"out": "${say.output}"}, files={"say.py": source})  # fmt: skip
    events, line = heard(path, {"text": "abc"})
    assert (pieces(events, "out"), line.outputs) == (["a", "b", "c"], {"out": "abc"})

    async def whole() -> LineResult:
        async with FlowRunner(load_flow(path)) as runner:
            return await runner.run_line({"text": "abc"})

    assert asyncio.run(whole()).outputs == {"out": "ABC"}


def flex(tmp_path: Path, source: str) -> Path:
    return write(tmp_path / "flex", {"flow.flex.yaml": "entry: main:run\n", "main.py": source})


def test_generators_inside_the_mapping_of_a_flex_flow_stream(tmp_path: Path) -> None:
    path = flex(tmp_path, """
    def words(text):
        yield from text.split()
    def run(text: str):
        return {"first": words(text), "size": len(text), "second": iter("xy")}
    """)  # fmt: skip
    events, line = heard(path, {"text": "a b"})
    assert events[0] == Known({"size": 3})
    assert (pieces(events, "first"), pieces(events, "second")) == (["a", "b"], ["x", "y"])
    assert line.outputs == {"first": "ab", "size": 3, "second": "xy"}
    assert not line.is_bare


@pytest.mark.parametrize("head", ["", "async "])
def test_a_flex_flow_that_is_a_generator_streams_its_one_output(tmp_path: Path, head: str) -> None:
    path = flex(tmp_path, f"{head}def run(text: str):\n    for word in text.split():\n        yield word\n")
    events, line = heard(path, {"text": "a b"})
    assert events == [Piece("output", "a"), Piece("output", "b")]
    assert (line.outputs, line.is_bare) == ({"output": "ab"}, True)


PROMPTY = "---\nmodel:\n  configuration: {connection: fake, model: tiny}\n  parameters: %s\ninputs:\n  text: {type: string}\n---\nuser:\n{{text}}\n"


def test_a_prompty_streams_its_text_and_gives_json_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.prompty").write_text(PROMPTY % "{}")
    events, line = heard(tmp_path / "a.prompty", {"text": "a b"}, models=FakeModels())
    assert (pieces(events, "output"), line.outputs, line.is_bare) == (["a ", "b "], {"output": "a b "}, True)
    (tmp_path / "b.prompty").write_text(PROMPTY % "{response_format: {type: json_object}}")
    events, line = heard(tmp_path / "b.prompty", {"text": '{"x": 1}'}, models=FakeModels())
    assert (events, line.is_bare) == ([Known({"x": 1})], False)


def test_an_answer_of_the_cache_comes_as_a_whole(project: Project) -> None:
    path, cache, models = asking(project, {"answer": "${ask.output}"}), MemoryCache(), FakeModels()
    first, _ = heard(path, {"text": "a b"}, models=models, cache=cache)
    again, line = heard(path, {"text": "a b"}, models=models, cache=cache)
    assert pieces(first, "answer") == ["a ", "b "]
    assert again == [Known({"answer": "a b "})]
    assert line.node("ask").status == "cached"  # type: ignore[union-attr]


def test_the_pieces_of_a_flow_inside_a_tool_are_its_own(project: Project, tmp_path: Path) -> None:
    inner = flex(tmp_path, "def run(text: str):\n    yield from text\n")
    source = f"""
    from pathlib import Path
    from pilothouse import tool
    from pilothouse.flows.function import load_function
    @tool
    def outer(text: str):
        yield load_function(Path({str(inner)!r}))(text=text)["output"]
    """
    (tmp_path / "flex" / "pilothouse.yaml").write_text("{}\n")
    path = project.flow([python("outer", inputs={"text": "${inputs.text}"})], inputs={"text": "string"},
                        outputs={"out": "${outer.output}"}, files={"outer.py": source})  # fmt: skip
    events, line = heard(path, {"text": "abc"})
    assert (line.error, pieces(events, "out")) == (None, ["abc"])


def test_a_failure_in_mid_stream_fails_the_line_behind_its_pieces(project: Project) -> None:
    source = "from pilothouse import tool\n@tool\ndef gen():\n    yield 'a'\n    raise ValueError('broken off')\n"
    path = project.flow([python("gen")], outputs={"out": "${gen.output}"}, files={"gen.py": source})
    events, line = heard(path, {})
    assert pieces(events, "out") == ["a"]
    assert line.error is not None
    assert (line.status, line.error.type, line.error.node, line.outputs) == ("failed", "ValueError", "gen", {})


def test_inputs_that_are_refused_are_told_without_a_line_number(project: Project) -> None:
    events, line = heard(asking(project, {"answer": "${ask.output}"}), {}, models=FakeModels())
    assert (events, line.status) == ([], "failed")
    assert line.error is not None
    assert "there is no value for the input 'text'" in line.error.message


class Endless:
    """A model that talks until it is stopped."""

    provider = "fake"

    def __init__(self) -> None:
        self.given = 0
        self.more = ""
        self.closed = asyncio.Event()

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        try:
            while True:
                self.given += 1
                yield ChatChunk(text=f"{self.given} {self.more}")
                await asyncio.sleep(0)
        finally:
            self.closed.set()


class EndlessModels(FakeModels):
    def __init__(self) -> None:
        super().__init__()
        self.endless = Endless()

    def client(self, name: str) -> Any:
        return self.endless


def test_leaving_early_closes_the_stream_of_the_model_and_ends_every_span(project: Project) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    path = asking(project, {"answer": "${ask.output}"})

    async def go() -> tuple[int, int]:
        models = EndlessModels()
        async with FlowRunner(load_flow(path), models=models, tracer=provider.get_tracer("t")) as runner:
            async with runner.stream_line({"text": "x"}) as stream:
                async for event in stream:
                    assert isinstance(event, Piece)
                    if event.value == "5 ":
                        break
                before = models.endless.given
            assert models.endless.closed.is_set()
            return before, models.endless.given

    before, after = asyncio.run(asyncio.wait_for(go(), 30))
    assert before <= WAITING + 7  # it ran ahead no further than it may
    assert after <= before + 1
    assert {span.name for span in spans.get_finished_spans()} == {"node ask", "flow flow"}


def test_leaving_early_closes_a_sync_generator_in_its_thread(project: Project) -> None:
    source = """
    from pilothouse import tool
    stopped = []
    @tool
    def gen(flag):
        try:
            n = 0
            while True:
                n += 1
                yield n
        finally:
            flag.set()
    """
    path = project.flow([python("gen", inputs={"flag": "${inputs.flag}"})], inputs={"flag": "object"},
                        outputs={"out": "${gen.output}"}, files={"gen.py": source})  # fmt: skip

    class Flag(dict[str, Any]):
        event = threading.Event()

        def set(self) -> None:
            self.event.set()

    async def go() -> bool:
        async with FlowRunner(load_flow(path)) as runner:
            async with runner.stream_line({"flag": Flag()}) as stream:
                async for event in stream:
                    if isinstance(event, Piece) and event.value >= 3:
                        break
            return await asyncio.to_thread(Flag.event.wait, 20)

    assert asyncio.run(asyncio.wait_for(go(), 30))


def test_many_streams_of_sync_generators_run_at_once(project: Project) -> None:
    source = """
    import threading
    from pilothouse import tool
    meeting = threading.Barrier(20, timeout=20)
    @tool
    def gen(n: int):
        yield f"a{n}"
        meeting.wait()
        yield f"b{n}"
    """
    path = project.flow([python("gen", inputs={"n": "${inputs.n}"})], inputs={"n": "int"}, outputs={"out": "${gen.output}"},
                        files={"gen.py": source})  # fmt: skip

    async def go() -> list[list[Any]]:
        async with FlowRunner(load_flow(path)) as runner:

            async def one(number: int) -> list[Any]:
                async with runner.stream_line({"n": number}) as stream:
                    return pieces([event async for event in stream], "out")

            return await asyncio.gather(*map(one, range(20)))

    assert asyncio.run(asyncio.wait_for(go(), 40)) == [[f"a{n}", f"b{n}"] for n in range(20)]


def test_a_stream_that_takes_too_long_fails_with_what_came(project: Project) -> None:
    path = asking(project, {"answer": "${ask.output}"})
    events, line = heard(path, {"text": "x"}, models=EndlessModels(), settings=FlowSettings(line_timeout=0.2))
    assert events
    assert line.error is not None
    assert line.error.type == "Timeout"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_whose_loop_has_stopped_is_told_that_nobody_listens(is_async: bool) -> None:
    go_on, closed = threading.Event(), threading.Event()

    def slow() -> Generator[str]:
        try:
            yield "first"
            go_on.wait(10)
            yield "second"
        finally:
            closed.set()

    async def returns_slow() -> Generator[str]:
        return slow()

    async def first() -> Any:
        async with (
            FlowRunner(load_flow(returns_slow if is_async else slow)) as runner,
            runner.stream_line({}) as stream,
        ):
            return await anext(aiter(stream))

    # The loop stands still and is not closed, as between the last thing that it does and its end.
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(first()) == Piece("output", "first")
        go_on.set()
        assert closed.wait(10)
    finally:
        loop.close()
