"""Calls that a request insists on, of a model whose template knows no tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pilothouse.models.client import StreamCollector
from pilothouse.models.providers import llama
from pilothouse.models.providers.forced_calls import forced_call
from pilothouse.models.types import ChatChunk, ChatRequest, ChatResponse, Message

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: tuple[dict[str, Any], ...] = tuple(
    {"type": "function", "function": {"name": name, "parameters": CITY}} for name in ("weather", "news")
)


def asked(tools: tuple[dict[str, Any], ...] = TOOLS, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content="Ulm?"),), tools=tools, **fields)


def answer(request: ChatRequest, *texts: str, finish: str = "stop") -> ChatResponse:
    forced = forced_call(request)
    assert forced is not None

    async def told() -> AsyncIterator[ChatChunk]:
        for text in texts:
            yield ChatChunk(text=text)
        yield ChatChunk(finish_reason=finish)

    async def collect() -> ChatResponse:
        collector = StreamCollector()
        async for chunk in forced.read(told()):
            collector.add(chunk)
        return collector.response()

    return asyncio.run(collect())


@pytest.mark.parametrize("choice", [None, "auto", "none", {"type": "function", "function": {"name": "other"}}])
def test_what_is_left_to_the_model_is_not_forced(choice: Any) -> None:
    assert forced_call(asked(tool_choice=choice)) is None
    assert forced_call(asked((), tool_choice="required")) is None


def test_a_named_function_is_called_with_what_the_model_wrote() -> None:
    request = asked(tool_choice={"type": "function", "function": {"name": "news"}})
    forced = forced_call(request)
    assert forced is not None
    assert forced.request.tools is None
    assert forced.request.response_format is not None
    assert forced.request.response_format["json_schema"]["schema"] == CITY
    assert [message.role for message in forced.request.messages] == ["system", "user"]

    response = answer(request, '{"city":', ' "Ulm"}')
    (call,) = response.message.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("news", {"city": "Ulm"})
    assert call.id.startswith("call_")
    assert (response.text, response.finish_reason) == ("", "tool_calls")


def test_the_model_chooses_among_several() -> None:
    response = answer(asked(tool_choice="required"), '{"name": "weather", ', '"arguments": {"city": "Ulm"}}')
    (call,) = response.message.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Ulm"})


def test_a_call_that_is_cut_off_says_so() -> None:
    response = answer(asked(TOOLS[:1], tool_choice="required"), '{"city": "U', finish="length")
    assert response.message.tool_calls[0].arguments == '{"city": "U'
    assert response.finish_reason == "length"
    several = answer(asked(tool_choice="required"), '{"name": "wea', finish="length")
    assert several.message.tool_calls[0].arguments == '{"name": "wea'


def test_instructions_join_those_of_the_system_and_definitions_move_up() -> None:
    schema = {**CITY, "$defs": {"City": {"type": "string"}}}
    tools = tuple({"type": "function", "function": {"name": name, "parameters": schema}} for name in "ab")
    request = ChatRequest(
        messages=(Message(role="system", content="Be short."), Message(role="user", content="Ulm?")),
        tools=tools,
        tool_choice="required",
    )
    forced = forced_call(request)
    assert forced is not None
    assert forced.request.messages[0].text.startswith("Be short.\n\n")
    assert len(forced.request.messages) == 2
    assert forced.request.response_format is not None
    made = forced.request.response_format["json_schema"]["schema"]
    assert made["$defs"] == {"City": {"type": "string"}}
    assert [each["properties"]["name"]["const"] for each in made["anyOf"]] == ["a", "b"]
    assert "$defs" not in made["anyOf"][0]["properties"]["arguments"]


def test_a_template_is_found_in_a_file(tmp_path: Path) -> None:
    text = b"{% if tools %}{% endif %}"
    key = b"tokenizer.chat_template"
    whole = b"GGUF" + bytes(60) + key + b"\x08\x00\x00\x00" + len(text).to_bytes(8, "little") + text + bytes(90)
    (tmp_path / "with.gguf").write_bytes(whole)
    (tmp_path / "without.gguf").write_bytes(b"GGUF" + bytes(60))
    assert llama.template_of(tmp_path / "with.gguf") == text
    assert llama.template_of(tmp_path / "without.gguf") == b""
