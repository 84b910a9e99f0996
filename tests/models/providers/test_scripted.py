from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.client import ProviderContext, collect
from pilothouse.models.providers.schema_sample import sample
from pilothouse.models.providers.scripted import Call, Rule, ScriptedModel, build, respond
from pilothouse.models.types import ChatRequest, CompletionRequest, Connection, EmbeddingRequest, Message


def ask(script: Any, text: str, **fields: Any) -> Any:
    return asyncio.run(script.chat(ChatRequest(messages=(Message(role="user", content=text),), **fields)))


def test_without_a_script_it_repeats_and_counts_words() -> None:
    response = ask(ScriptedModel(), "three words here", model="any")
    assert response.text == "three words here"
    assert (response.model, response.finish_reason) == ("any", "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 3)


def test_the_same_request_gives_the_same_response() -> None:
    assert ask(ScriptedModel(), "x") == ask(ScriptedModel(), "x")
    assert ask(ScriptedModel(), "x").id != ask(ScriptedModel(), "y").id


def test_rules_are_tried_in_order() -> None:
    model = ScriptedModel(
        (
            Rule(when="^refund", reply="billing"),
            Rule(when="rain", call=Call(name="weather", arguments={"city": "Lisbon"})),
            Rule(reply="other"),
        )
    )
    assert ask(model, "Refund me").text == "billing"
    assert ask(model, "a refund").text == "other"
    response = ask(model, "will it RAIN?")
    assert response.finish_reason == "tool_calls"
    assert response.message.tool_calls[0].arguments == '{"city":"Lisbon"}'


def test_a_rule_may_fail_and_be_used_up() -> None:
    model = ScriptedModel((Rule(error=429, retry_after=1.5, times=2), Rule(reply="now")))
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            ask(model, "x")
        assert (caught.value.status, caught.value.retry_after, caught.value.retryable) == (429, 1.5, True)
    assert ask(model, "x").text == "now"


def test_delays_are_waited_for() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    ask(ScriptedModel((Rule(reply="a", delay=0.5),), delay=1.0, sleep=sleep), "x")
    assert waits == [1.5]


def test_a_function_may_answer() -> None:
    def reply(request: ChatRequest) -> Any:
        text = request.messages[0].text
        if text == "fail":
            return ValueError("told to")
        if text == "whole":
            return respond(request, Message(role="assistant", content="by hand"))
        return text.upper()

    model = ScriptedModel(reply=reply)
    assert ask(model, "abc").text == "ABC"
    assert ask(model, "whole").text == "by hand"
    with pytest.raises(ValueError, match="told to"):
        ask(model, "fail")


def test_a_stream_adds_up_to_the_answer() -> None:
    model = ScriptedModel((Rule(when="call", call=Call(name="f")),))
    for text in ("two  words\nhere ", "please call", ""):
        request = ChatRequest(messages=(Message(role="user", content=text),))
        streamed = asyncio.run(collect(model.stream(request)))
        whole = asyncio.run(model.chat(request))
        assert (streamed.message, streamed.usage, streamed.finish_reason) == (
            whole.message,
            whole.usage,
            whole.finish_reason,
        )


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["spam", "ham"]},
        "score": {"type": "number", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "inner": {"$ref": "#/$defs/inner"},
        "either": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
        "fixed": {"const": 7},
        "left_out": {"type": "string"},
    },
    "required": ["label", "score", "tags", "inner", "either", "fixed"],
    "$defs": {"inner": {"type": ["string", "null"], "maxLength": 4}},
}


def test_a_schema_is_answered_with_something_that_fits() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    value = msgspec.json.decode(ask(ScriptedModel(), "a/b c", response_format=form).text)
    assert set(value) == set(SCHEMA["required"])
    assert value["label"] in {"spam", "ham"}
    assert value["score"] == 1
    assert value["tags"] == ["a/b c", "a/b c"]
    assert value["inner"] == "a/b "
    assert value["either"] in {None, True, False}
    assert value["fixed"] == 7


def test_the_text_chooses_among_values() -> None:
    assert {sample({"enum": [1, 2, 3]}, str(number)) for number in range(50)} == {1, 2, 3}


def test_a_schema_without_end_or_with_a_broken_reference_ends() -> None:
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}}}
    assert isinstance(sample(endless, "x"), dict)
    circle = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert sample(circle, "x") == "x"
    assert sample({"$ref": "#/nowhere/at/all"}, "x") == "x"


def test_a_required_tool_is_called_and_json_is_json() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    response = ask(ScriptedModel(), "x", tools=(tool,), tool_choice="required")
    assert response.message.tool_calls[0].name == "look"
    assert ask(ScriptedModel(), "x", response_format={"type": "json_object"}).text == '{"answer":"x"}'


def test_texts_that_share_words_are_near_each_other() -> None:
    request = EmbeddingRequest(inputs=("the red house", "a red house", "quarterly revenue"), dimensions=256)
    response = asyncio.run(ScriptedModel().embed(request))
    first, second, third = response.vectors

    def dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert len(first) == 256
    assert dot(first, first) == pytest.approx(1.0)
    assert dot(first, second) > dot(first, third)
    assert asyncio.run(ScriptedModel().complete(CompletionRequest(prompt="go on"))).text == "go on"


def test_a_connection_names_a_script_of_the_project(tmp_path: Path, context: Callable[..., ProviderContext]) -> None:
    (tmp_path / "answers.yaml").write_text("- when: hi\n  reply: hello\n- reply: bye\n")
    configs = {"script": "answers.yaml", "model": "told"}
    model = build(Connection(name="s", type="scripted", configs=configs), context())
    assert ask(model, "Hi there").text == "hello"
    assert ask(model, "x").model == "told"


@pytest.mark.parametrize(
    ("script", "delay", "message"),
    [
        ("- whne: x\n", "0", "whne"),
        ("- reply: 5\n", "0", "reply"),
        ("", "soon", "'delay' is 'soon'"),
    ],
)
def test_a_script_that_cannot_be_accepted_names_the_place(
    tmp_path: Path, context: Callable[..., ProviderContext], script: str, delay: str, message: str
) -> None:
    (tmp_path / "s.yaml").write_text(script)
    connection = Connection(name="s", type="scripted", configs={"script": "s.yaml", "delay": delay})
    with pytest.raises(ConnectionFault, match=message):
        build(connection, context())
