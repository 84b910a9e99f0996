"""The node cache: what may answer, what never does, and that nothing is billed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pilothouse.flows.cache import CachedAnswer, cache_key, decode_answer, encode_answer
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.secret import Secret
from pilothouse.models.types import ChatRequest, Connection, Message, Usage

from .building import FakeModels, MemoryCache, Project, answer, llm, python, tool

COUNT = "CALLS = []"


def run_with(
    path: Path, cache: MemoryCache | None, inputs: Mapping[str, Any] | None = None, *, repeat: int = 0, **options: Any
) -> LineResult:
    async def go() -> LineResult:
        async with FlowRunner(load_flow(path), cache=cache, **options) as runner:
            return await runner.run_line(inputs or {}, repeat=repeat)

    return asyncio.run(go())


def ask(project: Project, template: str = "user:\n{{ q }}\n", **inputs: Any) -> Path:
    return project.flow(
        [llm("ask", inputs={"q": "${inputs.q}", **inputs})],
        inputs={"q": "string"},
        outputs={"o": "${ask.output}"},
        files={"ask.jinja2": template},
    )


def test_a_second_line_is_answered_from_the_cache_and_costs_nothing(project: Project) -> None:
    models, cache, path = FakeModels(), MemoryCache(), ask(project)
    first = run_with(path, cache, {"q": "a"}, models=models)
    second = run_with(path, cache, {"q": "a"}, models=models)
    assert len(models.fake.requests) == 1
    assert first.outputs == second.outputs == {"o": "a"}
    spent = Usage(input_tokens=10, output_tokens=2)
    assert (first.nodes[0].status, first.usage, first.cached_usage) == ("completed", spent, Usage())
    node = second.nodes[0]
    assert (node.status, node.usage, node.cached_usage, node.provider, node.model) == (
        "cached",
        None,
        spent,
        "fake",
        "tiny-1",
    )
    assert (second.usage, second.cached_usage) == (Usage(), spent)


def test_what_decides_the_answer_decides_the_key(project: Project) -> None:
    models, cache = FakeModels(), MemoryCache()

    def asked(path: Path, q: str = "a", repeat: int = 0, **options: Any) -> int:
        run_with(path, cache, {"q": q}, repeat=repeat, models=options.pop("models", models), **options)
        return len(models.fake.requests)

    assert asked(ask(project)) == 1
    assert asked(ask(project)) == 1
    assert asked(ask(project), q="b") == 2
    assert asked(ask(project), repeat=1) == 3
    assert asked(ask(project), repeat=1) == 3
    assert asked(ask(project, temperature=0.5)) == 4
    assert asked(ask(project, "user:\n {{ q }}!\n")) == 5
    assert asked(ask(project, model="other")) == 6
    assert asked(ask(project)) == 6


def test_the_connection_counts_but_neither_its_name_nor_its_secret(project: Project) -> None:
    cache, path = MemoryCache(), ask(project)

    def models(**changes: Any) -> FakeModels:
        fields = {
            "name": "fake",
            "type": "open_ai",
            "configs": {"base_url": "http://x"},
            "secrets": {"api_key": Secret("one-secret")},
        }
        return FakeModels(connections={"fake": Connection(**{**fields, **changes})})

    run_with(path, cache, {"q": "a"}, models=models())
    for changes, is_new in (
        ({"secrets": {"api_key": Secret("two-secret")}}, False),
        ({"name": "renamed"}, False),
        ({"configs": {"base_url": "http://y"}}, True),
        ({"type": "serverless"}, True),
    ):
        found = models(**changes)
        run_with(path, cache, {"q": "a"}, models=found)
        assert len(found.fake.requests) == int(is_new), changes
    assert not any(b"secret" in value for value in cache.kept.values())


def counting(
    project: Project, *, cached: bool, body: str = "CALLS.append(value); return [value, len(CALLS)]", kind: str = "def"
) -> Path:
    source = tool("f", "value", body, head=COUNT).replace("def f", f"{kind} f")
    node = python("f", inputs={"value": "${inputs.x}"}, enable_cache=cached)
    return project.flow([node], inputs={"x": "object"}, outputs={"o": "${f.output}"}, files={"f.py": source})


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_python_node_is_cached_only_when_it_says_so(project: Project, cached: bool, kind: str) -> None:
    path, cache = counting(project, cached=cached, kind=kind), MemoryCache()
    statuses = [run_with(path, cache, {"x": 1}).nodes[0].status for _ in range(2)]
    assert statuses == (["completed", "cached"] if cached else ["completed", "completed"])
    assert len(cache.kept) == int(cached)


def test_without_a_cache_enable_cache_changes_nothing(project: Project) -> None:
    path = counting(project, cached=True)
    assert run_with(path, None, {"x": 1}).nodes[0].status == "completed"
    assert FlowRunner(load_flow(path)).is_sync
    assert not FlowRunner(load_flow(path), cache=MemoryCache()).is_sync


def test_a_changed_helper_is_a_changed_tool(project: Project) -> None:
    cache = MemoryCache()
    source = tool("f", "value", "return value * helper.BY", head="import helper")
    path = project.flow(
        [python("f", inputs={"value": 2}, enable_cache=True)],
        outputs={"o": "${f.output}"},
        files={"f.py": source, "helper.py": "BY = 2"},
    )
    assert run_with(path, cache).outputs == {"o": 4}
    (path / "helper.py").write_text("BY = 3")
    assert run_with(path, cache).outputs == {"o": 6}


@pytest.mark.parametrize(
    "body",
    [
        "return (1, 2)",
        "return {1: 2}",
        "return float('nan')",
        "return {1, 2}",
        "return b'x'",
        "return object()",
        "return [(1,)]",
        "yield 'a'",
    ],
)
def test_an_answer_that_would_not_come_back_the_same_is_not_kept(project: Project, body: str) -> None:
    path, cache = counting(project, cached=True, body=body), MemoryCache()
    for _ in range(2):
        assert run_with(path, cache, {"x": 1}).nodes[0].status == "completed"
    assert cache.kept == {}


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", "ünï", [], [1, [None]], {"a": {"b": [1]}}, {}])
def test_an_answer_that_json_holds_comes_back_the_same(value: Any) -> None:
    data = encode_answer(CachedAnswer(output=value, usage=Usage(input_tokens=1)))
    assert data is not None
    known = decode_answer(data)
    assert known == CachedAnswer(output=value, usage=Usage(input_tokens=1))
    assert type(known.output) is type(value)


def test_inputs_without_a_json_form_have_no_key() -> None:
    assert cache_key("f", {"a": object()}, 0) is None
    assert cache_key("f", {"a": float("nan")}, 0) is None
    assert cache_key("f", {"a": 1}, 0) != cache_key("f", {"a": 1}, 1)
    assert cache_key("f", {"a": 1, "b": 2}, 0) == cache_key("f", {"b": 2, "a": 1}, 0)


def test_a_damaged_entry_is_made_again(project: Project) -> None:
    models, cache, path = FakeModels(), MemoryCache(), ask(project)
    run_with(path, cache, {"q": "a"}, models=models)
    cache.kept = dict.fromkeys(cache.kept, b"{broken")
    assert run_with(path, cache, {"q": "a"}, models=models).nodes[0].status == "completed"
    assert len(models.fake.requests) == 2


def test_failures_are_not_kept(project: Project) -> None:
    path, cache = counting(project, cached=True, body="raise ValueError"), MemoryCache()
    run_with(path, cache, {"x": 1})
    assert cache.kept == {}


def test_a_message_with_tool_calls_is_kept(project: Project) -> None:
    def reply(_: Any) -> Any:
        return answer(message=Message(role="assistant", content="x"))

    models, cache = FakeModels(reply), MemoryCache()
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    path = ask(project, tools=[{"type": "function", "function": function}])
    outputs = [run_with(path, cache, {"q": "a"}, models=models).outputs for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert len(models.fake.requests) == 1


def test_a_fingerprint_names_a_node_as_it_is(project: Project) -> None:
    def fingerprint(path: Path, name: str = "ask") -> str:
        return FlowRunner(load_flow(path), models=FakeModels()).node_fingerprint(name)

    first = fingerprint(ask(project))
    assert fingerprint(ask(project)) == first
    assert fingerprint(ask(project, "user:\n{{ q }}?\n")) != first
    assert len(first) == 64


def test_a_request_is_part_of_the_key_as_a_whole() -> None:
    def key(**changes: Any) -> str | None:
        return cache_key("f", ChatRequest(messages=(Message(role="user", content="x"),), **changes), 0)

    assert key() == key()
    assert len({key(), key(model="m"), key(temperature=0.0), key(seed=1), key(extra={"a": 1})}) == 5
