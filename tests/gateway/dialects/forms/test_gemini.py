"""Google's form: answers and streams read, in the documented shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.gemini.codec import GEMINI
from pilothouse.models.types import ChatChunk, ChatRequest, ImagePart, Message, TextPart, Thought, Usage

METADATA = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 5,
    "cachedContentTokenCount": 60,
    "totalTokenCount": 155,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 70},
        {"modality": "AUDIO", "tokenCount": 20},
        {"modality": "IMAGE", "tokenCount": 10},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}, {"modality": "TEXT", "tokenCount": 45}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 8}],
}
USAGE = Usage(
    input_tokens=105,
    output_tokens=50,
    cached_input_tokens=60,
    reasoning_tokens=30,
    audio_input_tokens=20,
    image_input_tokens=10,
    image_output_tokens=8,
    cached_audio_tokens=15,
)
ANSWER = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True},
                    {"text": "Grü"},
                    {"text": "ße"},
                    {"functionCall": {"name": "find", "args": {"q": "x"}}, "thoughtSignature": "SIG"},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": METADATA,
    "modelVersion": "gemini-3-pro-001",
    "responseId": "r1",
}


def test_a_whole_answer_is_read() -> None:
    response = GEMINI.decode_response(json.dumps(ANSWER).encode())

    assert (response.id, response.model, response.text) == ("r1", "gemini-3-pro-001", "Grüße")
    assert response.message.reasoning == "Hm"
    assert response.message.thoughts == (Thought(text="Hm"), Thought(signature="gemini-SIG"))
    (call,) = response.message.tool_calls
    assert (call.name, call.arguments) == ("find", '{"q":"x"}')
    assert call.id.startswith("call_")
    assert response.finish_reason == "tool_calls"
    assert response.usage == USAGE
    assert GEMINI.usage(json.dumps(ANSWER).encode()) == (USAGE, "gemini-3-pro-001")


def test_what_was_thought_goes_back_as_it_came() -> None:
    message = GEMINI.decode_response(json.dumps(ANSWER).encode()).message
    request = ChatRequest(messages=(Message(role="user", content="x"), message))
    body = json.loads(GEMINI.encode_request(request, model="gemini-3-pro", stream=False))

    assert body["contents"][1]["parts"][-1] == {
        "functionCall": {"name": "find", "args": {"q": "x"}},
        "thoughtSignature": "SIG",
    }


@pytest.mark.parametrize(
    ("reason", "ours"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("OTHER", "other"), (None, None)]
)
def test_why_an_answer_ended_is_told(reason: str | None, ours: str | None) -> None:
    body = json.dumps({"candidates": [{"finishReason": reason}]}).encode()
    assert GEMINI.decode_response(body).finish_reason == ours


def test_a_prompt_that_was_blocked_is_a_refusal() -> None:
    response = GEMINI.decode_response(
        b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}'
    )

    assert response.finish_reason == "content_filter"
    assert "SAFETY" in (response.message.refusal or "")
    assert response.usage == Usage(input_tokens=3)


def test_a_picture_is_part_of_the_answer() -> None:
    parts = [{"text": "Here"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]
    response = GEMINI.decode_response(json.dumps({"candidates": [{"content": {"parts": parts}}]}).encode())

    assert response.message.content == (TextPart(text="Here"), ImagePart(data=b"\x89PNG", media_type="image/png"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"error":{"message":"x"}}',
        b'{"candidates":1}',
        b'{"candidates":[{"content":{"parts":[{"inlineData":{"data":"%%"}}]}}]}',
        b'{"candidates":[' * 20_000,
    ],
)
def test_what_is_no_answer_is_told(body: bytes) -> None:
    with pytest.raises(ValueError):
        GEMINI.decode_response(body)


def event(parts: list[dict[str, Any]], **fields: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **fields.pop("candidate", {})}
    answer = {"candidates": [candidate], "modelVersion": "g", "responseId": "r", **fields}
    return b"data: " + json.dumps(answer, ensure_ascii=False).encode() + b"\r\n\r\n"


STREAM = b"".join(
    (
        event([{"text": "Hm", "thought": True}], usageMetadata={"promptTokenCount": 100}),
        event([{"text": "Grü"}], usageMetadata={"promptTokenCount": 100, "candidatesTokenCount": 2}),
        event([{"text": "ße"}]),
        event([{"functionCall": {"id": "c1", "name": "find", "args": {"q": "x"}}, "thoughtSignature": "SIG"}]),
        event([{"functionCall": {"id": "c2", "name": "look", "args": {}}}]),
        event([{"text": ""}], candidate={"finishReason": "STOP"}, usageMetadata=METADATA),
    )
)


def read(pieces: list[bytes]) -> tuple[list[ChatChunk], bool]:
    reader = GEMINI.reader()
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return chunks, reader.finish()


def test_a_stream_is_read() -> None:
    chunks, is_whole = read([STREAM])

    assert "".join(chunk.text for chunk in chunks) == "Grüße"
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm"
    assert [chunk.signature for chunk in chunks if chunk.signature] == ["gemini-SIG"]
    calls = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert [(call.index, call.id, call.name, call.arguments) for call in calls] == [
        (0, "c1", "find", '{"q":"x"}'),
        (1, "c2", "look", "{}"),
    ]
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [USAGE]
    assert is_whole


def test_a_stream_cut_anywhere_into_pieces_reads_the_same() -> None:
    whole, _ = read([STREAM])
    for place in range(len(STREAM)):
        assert read([STREAM[:place], STREAM[place:]]) == (whole, True)
    assert read([bytes([byte]) for byte in STREAM]) == (whole, True)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    # The last line end may be missing: the event before it is whole.
    for place in range(len(STREAM) - 3):
        assert read([STREAM[:place]])[1] is False, place


def test_two_answers_end_each_for_itself() -> None:
    first = event(
        [{"text": "a"}], candidate={"index": 0, "finishReason": "STOP"}, usageMetadata={"promptTokenCount": 1}
    )
    second = event([{"text": "b"}], candidate={"index": 1})
    end = event([], candidate={"index": 1, "finishReason": "MAX_TOKENS"}, usageMetadata={"promptTokenCount": 2})

    assert read([second, first])[1] is False
    chunks, is_whole = read([second, first, end])
    assert is_whole
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(input_tokens=2)]
    assert {chunk.index: chunk.finish_reason for chunk in chunks if chunk.finish_reason} == {0: "stop", 1: "length"}


def test_a_prompt_blocked_in_a_stream_is_whole() -> None:
    chunks, is_whole = read([b'data: {"promptFeedback":{"blockReason":"OTHER"}}\n\n'])
    assert is_whole
    assert chunks[0].finish_reason == "content_filter"


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"error":{"code":503,"message":"The model is overloaded."}}\n\n',
        b"data: <html>\n\n",
        b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"data":"aaaa"}}]}}]}\n\n',
        b"data: [1]\n\n",
    ],
)
def test_a_stream_that_says_no_raises(data: bytes) -> None:
    with pytest.raises(ValueError):
        read([data])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    try:
        _, is_whole = read([b"data: ", *pieces])
    except ValueError:
        return
    assert not is_whole
