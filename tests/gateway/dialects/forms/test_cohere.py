"""Cohere's form: requests said, answers and streams read, in the documented shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.cohere.codec import COHERE
from pilothouse.models.types import (
    AudioPart,
    ChatChunk,
    ChatRequest,
    ImagePart,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    Usage,
)

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}, "strict": True}}
CALL = ToolCall(id="t1", name="find", arguments='{"q":"x"}')
USER = (Message(role="user", content="x"),)


def said(request: ChatRequest, *, stream: bool = False) -> dict[str, Any]:
    return json.loads(COHERE.encode_request(request, model="command-a", stream=stream))


CONVERSATION = ChatRequest(
    messages=(
        Message(role="developer", content="Be kind."),
        Message(role="user", content=(TextPart(text="Look"), ImagePart(data=b"\x89PNG", detail="low"))),
        Message(role="assistant", tool_calls=(CALL,), reasoning="I will look."),
        Message(role="tool", tool_call_id="t1", content="42"),
        Message(role="tool", tool_call_id="t2", content="gone", is_error=True),
    ),
    temperature=0.5,
    top_p=0.9,
    top_k=5,
    max_tokens=100,
    seed=7,
    presence_penalty=0.1,
    frequency_penalty=0.2,
    stop=("END",),
    logprobs=True,
    n=1,
    tools=(TOOL,),
    tool_choice="required",
    response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
    reasoning=Reasoning(effort="low"),
    extra={"safety_mode": "OFF", "stream_options": {}},
)
SAID: dict[str, Any] = {
    "safety_mode": "OFF",
    "model": "command-a",
    "stream": True,
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw==", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"q":"x"}'}}],
            "tool_plan": "I will look.",
        },
        {"role": "tool", "tool_call_id": "t1", "content": "42"},
        {"role": "tool", "tool_call_id": "t2", "content": "error: gone"},
    ],
    "temperature": 0.5,
    "p": 0.9,
    "k": 5,
    "max_tokens": 100,
    "seed": 7,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logprobs": True,
    "stop_sequences": ["END"],
    "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
    "thinking": {"type": "enabled", "token_budget": 1024},
    "tools": [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}],
    "tool_choice": "REQUIRED",
}


def test_a_conversation_with_everything_is_said() -> None:
    assert said(CONVERSATION, stream=True) == SAID


def test_one_function_alone_can_be_chosen_by_name() -> None:
    choice = {"type": "function", "function": {"name": "find"}}
    assert said(ChatRequest(messages=USER, tools=(TOOL,), tool_choice=choice))["tool_choice"] == "REQUIRED"
    assert said(ChatRequest(messages=USER, reasoning=Reasoning(effort="none")))["thinking"] == {"type": "disabled"}


OTHER = {"type": "function", "function": {"name": "other"}}
UNSAID = [
    ({"n": 2}, "n"),
    ({"logit_bias": {"1": 1.0}}, "logit_bias"),
    ({"modalities": ("audio",)}, "modalities"),
    ({"tools": (TOOL,), "parallel_tool_calls": False}, "parallel"),
    ({"tools": (TOOL, OTHER), "tool_choice": {"type": "function", "function": {"name": "find"}}}, "alone"),
    ({"extra": {"surprise": 1}}, "surprise"),
    ({"messages": (Message(role="user", content=(AudioPart(data=b"x"),)),)}, "pictures"),
    ({"messages": (Message(role="function", name="f", content="x"),)}, "older"),
    ({"messages": (Message(role="tool", tool_call_id="t", content=(ImagePart(url="u"),)),)}, "text alone"),
]


@pytest.mark.parametrize(("fields", "word"), UNSAID)
def test_what_cannot_be_said_is_refused_in_words(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        said(ChatRequest(**{"messages": USER, **fields}))


USAGE = {
    "billed_units": {"input_tokens": 10, "output_tokens": 5.0, "search_units": 1},
    "tokens": {"input_tokens": 200, "output_tokens": 7},
    "cached_tokens": 64,
}


def test_a_whole_answer_is_read() -> None:
    body = json.dumps(
        {
            "id": "c1",
            "finish_reason": "TOOL_CALL",
            "message": {
                "role": "assistant",
                "tool_plan": "Plan.",
                "content": [{"type": "thinking", "thinking": "Hm. "}, {"type": "text", "text": "Hello"}],
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"q":"x"}'}}
                ],
                "citations": [],
            },
            "usage": USAGE,
        }
    ).encode()

    response = COHERE.decode_response(body)

    assert (response.id, response.text, response.message.reasoning) == ("c1", "Hello", "Hm. Plan.")
    assert response.message.tool_calls == (CALL,)
    assert response.finish_reason == "tool_calls"
    # What is billed counts; what was read from the cache is never more than it.
    assert response.usage == Usage(input_tokens=10, output_tokens=5, cached_input_tokens=10, searches=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"message":"invalid api token"}',
        b'{"finish_reason":"ERROR","message":{}}',
    ],
)
def test_what_is_no_answer_is_told(body: bytes) -> None:
    with pytest.raises(ValueError):
        COHERE.decode_response(body)


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


def delta(**message: Any) -> dict[str, Any]:
    return {"message": message}


def function(**fields: str) -> dict[str, Any]:
    return {"function": fields}


STREAM = b"".join(
    (
        event("message-start", id="c1", delta=delta(role="assistant", content=[], tool_plan="", tool_calls=[])),
        event("tool-plan-delta", delta=delta(tool_plan="Hm")),
        event("content-start", index=0, delta=delta(content={"type": "text", "text": ""})),
        event("content-delta", index=0, delta=delta(content={"text": "Grü"})),
        event("content-delta", index=0, delta=delta(content={"text": "ße"})),
        event("content-end", index=0),
        event("citation-start", index=0, delta=delta(citations={"start": 0})),
        event("tool-call-start", index=0, delta=delta(tool_calls={"id": "t1", **function(name="find", arguments="")})),
        event("tool-call-delta", index=0, delta=delta(tool_calls=function(arguments='{"q":'))),
        event("tool-call-delta", index=0, delta=delta(tool_calls=function(arguments='"x"}'))),
        event("tool-call-end", index=0),
        event("message-end", delta={"finish_reason": "TOOL_CALL", "usage": USAGE}),
    )
)


def read(pieces: list[bytes]) -> tuple[list[ChatChunk], bool]:
    reader = COHERE.reader()
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return chunks, reader.finish()


def test_a_stream_is_read() -> None:
    chunks, is_whole = read([STREAM])

    assert "".join(chunk.text for chunk in chunks) == "Grüße"
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm"
    calls = [piece for chunk in chunks for piece in chunk.tool_calls]
    assert (calls[0].index, calls[0].id, calls[0].name) == (0, "t1", "find")
    assert "".join(call.arguments for call in calls) == '{"q":"x"}'
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [
        Usage(input_tokens=10, output_tokens=5, cached_input_tokens=10, searches=1)
    ]
    assert {chunk.id for chunk in chunks} == {"c1"}
    assert is_whole


def test_a_stream_cut_anywhere_into_pieces_reads_the_same() -> None:
    whole, _ = read([STREAM])
    for place in range(len(STREAM)):
        assert read([STREAM[:place], STREAM[place:]]) == (whole, True)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    for place in range(len(STREAM) - 1):
        assert read([STREAM[:place]])[1] is False, place


@pytest.mark.parametrize(
    "data",
    [
        event("message-end", delta={"finish_reason": "ERROR", "error": "broken"}),
        event("message-end", delta={"finish_reason": "TIMEOUT"}),
        b'data: {"message":"too many requests"}\n\n',
        b"data: <html>\n\n",
        b"data: {}\n\n",
    ],
)
def test_a_stream_that_says_no_raises(data: bytes) -> None:
    with pytest.raises(ValueError):
        read([data])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    try:
        _, is_whole = read([b"data: ", *pieces])
    except ValueError:
        return
    assert not is_whole
