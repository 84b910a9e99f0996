"""The official clients, each asked the same five things through a gateway."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import anthropic
import openai
from msgspec import Struct
from pydantic import BaseModel

WORDS = "What is the weather in Ulm and in Bonn? Answer shortly."
MOST = 40

Client = Literal["openai chat", "openai responses", "openai completions", "anthropic messages"]
Case = Literal["plain", "stream", "tools", "tools streamed", "structured"]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


class Report(BaseModel):
    """An answer with a form."""

    city: str
    is_dry: bool


class Said(Struct, frozen=True, kw_only=True):
    """What a client made of the answers.

    Attributes:
        text: Of the last answer.
        calls: Arguments of the tools called in the first one.
        report: Where a form was asked for.
        used: Tokens read and written, of each answer.
        pieces: How many events of a stream brought text or arguments; 0 where nothing was streamed.
    """

    text: str = ""
    calls: Sequence[Any] = ()
    report: Report | None = None
    used: Sequence[tuple[int, int]] = ()
    pieces: int = 0


class Clients(Struct, frozen=True):
    """The asynchronous clients of one gateway, and what they ask."""

    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic
    words: str = WORDS
    most: int = MOST


async def chat(clients: Clients, model: str, case: Case) -> Said:
    """Ask by chat completions."""
    asked = clients.openai.chat.completions
    messages: list[Any] = [{"role": "user", "content": clients.words}]
    given: Any = {"model": model, "max_completion_tokens": clients.most, "temperature": 0, "messages": messages}
    if case == "plain":
        done = await asked.create(**given)
        return Said(text=done.choices[0].message.content or "", used=[_of_chat(done)])
    if case == "structured":
        parsed = await asked.parse(**given, response_format=Report)
        return Said(text="-", report=parsed.choices[0].message.parsed, used=[_of_chat(parsed)])
    if case == "stream":
        done, pieces = await _chat_stream(asked, given)
        return Said(text=done.choices[0].message.content or "", used=[_of_chat(done)], pieces=pieces)
    given |= {"tools": [openai.pydantic_function_tool(Weather)], "tool_choice": "required"}
    pieces = 0
    if case == "tools":
        first: Any = await asked.create(**given)
    else:
        first, pieces = await _chat_stream(asked, given)
    assert first.choices[0].finish_reason == "tool_calls", first
    calls = first.choices[0].message.tool_calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": '{"sky": "dry"}'} for call in calls]
    given |= {"messages": [*messages, first.choices[0].message, *results], "tool_choice": "auto"}
    last = await asked.create(**given)
    return Said(
        text=last.choices[0].message.content or "",
        calls=[json.loads(call.function.arguments) for call in calls if call.function.name == "Weather"],
        used=[_of_chat(first), _of_chat(last)],
        pieces=pieces,
    )


async def _chat_stream(asked: Any, given: Any) -> tuple[Any, int]:
    kinds = ("content.delta", "tool_calls.function.arguments.delta")
    async with asked.stream(**given, stream_options={"include_usage": True}) as stream:
        pieces = sum([event.type in kinds async for event in stream])
        return await stream.get_final_completion(), pieces


def _of_chat(done: Any) -> tuple[int, int]:
    return done.usage.prompt_tokens, done.usage.completion_tokens


async def responses(clients: Clients, model: str, case: Case) -> Said:
    """Ask by responses."""
    asked = clients.openai.responses
    spoken: list[Any] = [{"role": "user", "content": clients.words}]
    given: Any = {"model": model, "max_output_tokens": clients.most, "temperature": 0, "input": spoken, "store": False}
    if case == "plain":
        done = await asked.create(**given)
        return Said(text=done.output_text, used=[_of_response(done)])
    if case == "structured":
        parsed = await asked.parse(**given, text_format=Report)
        return Said(text="-", report=parsed.output_parsed, used=[_of_response(parsed)])
    if case == "stream":
        done, pieces = await _response_stream(asked, given)
        return Said(text=done.output_text, used=[_of_response(done)], pieces=pieces)
    tool = {**openai.pydantic_function_tool(Weather)["function"], "type": "function"}
    given |= {"tools": [tool], "tool_choice": "required"}
    pieces = 0
    if case == "tools":
        first: Any = await asked.create(**given)
    else:
        first, pieces = await _response_stream(asked, given)
    calls = [item for item in first.output if item.type == "function_call"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "dry"}'} for call in calls]
    last = await asked.create(**{**given, "input": [*spoken, *first.output, *results], "tool_choice": "auto"})
    return Said(
        text=last.output_text,
        calls=[json.loads(call.arguments) for call in calls if call.name == "Weather"],
        used=[_of_response(first), _of_response(last)],
        pieces=pieces,
    )


async def _response_stream(asked: Any, given: Any) -> tuple[Any, int]:
    kinds = ("response.output_text.delta", "response.function_call_arguments.delta")
    async with asked.stream(**given) as stream:
        pieces = sum([event.type in kinds async for event in stream])
        return await stream.get_final_response(), pieces


def _of_response(done: Any) -> tuple[int, int]:
    return done.usage.input_tokens, done.usage.output_tokens


async def completions(clients: Clients, model: str, case: Case) -> Said:
    """Ask by completions; the form has neither tools nor schemas."""
    given: Any = {"model": model, "prompt": clients.words, "max_tokens": clients.most, "temperature": 0}
    if case == "plain":
        done = await clients.openai.completions.create(**given)
        return Said(text=done.choices[0].text, used=[_of_chat(done)])
    stream = await clients.openai.completions.create(**given, stream=True, stream_options={"include_usage": True})
    events = [event async for event in stream]
    texts = [event.choices[0].text for event in events if event.choices and event.choices[0].text]
    (counted,) = [event for event in events if event.usage is not None]
    return Said(text="".join(texts), used=[_of_chat(counted)], pieces=len(texts))


async def messages(clients: Clients, model: str, case: Case) -> Said:
    """Ask by Anthropic's messages."""
    asked = clients.anthropic.messages
    spoken: list[Any] = [{"role": "user", "content": clients.words}]
    given: Any = {"model": model, "max_tokens": clients.most, "messages": spoken}
    if case == "plain":
        done = await asked.create(**given)
        return Said(text=_text(done), used=[_of_message(done)])
    if case == "structured":
        parsed = await asked.parse(**given, output_format=Report)
        return Said(text="-", report=parsed.parsed_output, used=[_of_message(parsed)])
    if case == "stream":
        done, pieces = await _message_stream(asked, given)
        return Said(text=_text(done), used=[_of_message(done)], pieces=pieces)
    tool = {"name": "Weather", "description": "The weather.", "input_schema": Weather.model_json_schema()}
    given |= {"tools": [tool], "tool_choice": {"type": "any"}}
    pieces = 0
    if case == "tools":
        first: Any = await asked.create(**given)
    else:
        first, pieces = await _message_stream(asked, given)
    assert first.stop_reason == "tool_use", first
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": '{"sky": "dry"}'} for call in calls]
    turns = [*spoken, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    last = await asked.create(**{**given, "messages": turns, "tool_choice": {"type": "auto"}})
    return Said(
        text=_text(last),
        calls=[call.input for call in calls if call.name == "Weather"],
        used=[_of_message(first), _of_message(last)],
        pieces=pieces,
    )


async def _message_stream(asked: Any, given: Any) -> tuple[Any, int]:
    async with asked.stream(**given) as stream:
        pieces = sum([event.type in {"text", "input_json"} async for event in stream])
        return await stream.get_final_message(), pieces


def _text(done: Any) -> str:
    return "".join(block.text for block in done.content if block.type == "text")


def _of_message(done: Any) -> tuple[int, int]:
    used = done.usage
    kept = (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)
    return used.input_tokens + kept, used.output_tokens


def named(error: openai.APIError | anthropic.APIError) -> str:
    """Return an exception's class, and the stable code that the client finds in it."""
    body: Any = error.body
    inner = body.get("error", body) if isinstance(body, dict) else {}
    code = inner.get("code") if isinstance(inner, dict) else None
    return f"{type(error).__name__} `{code}`" if code else type(error).__name__


ASK: dict[Client, Callable[[Clients, str, Case], Awaitable[Said]]] = {
    "openai chat": chat,
    "openai responses": responses,
    "openai completions": completions,
    "anthropic messages": messages,
}
