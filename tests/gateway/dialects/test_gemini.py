"""Google's form: requests said, answers and streams read, in the documented shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.gemini.codec import GEMINI
from pilothouse.models.types import (
    AudioPart,
    ChatChunk,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Reasoning,
    TextPart,
    Thought,
    ToolCall,
    Usage,
)

TOOL = {"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}}
USER = (Message(role="user", content="x"),)


def said(request: ChatRequest, model: str = "gemini-3-pro") -> dict[str, Any]:
    return json.loads(GEMINI.encode_request(request, model=model, stream=False))


def test_a_conversation_with_everything_is_said() -> None:
    calls = (
        ToolCall(id="a", name="find", arguments='{"q":"x"}'),
        ToolCall(id="b", name="look", arguments=""),
    )
    body = said(
        ChatRequest(
            messages=(
                Message(role="system", content="Be kind."),
                Message(
                    role="user",
                    content=(
                        TextPart(text="Look"),
                        ImagePart(data=b"\x89PNG"),
                        ImagePart(url="https://h/a.JPG?x=1"),
                        AudioPart(data=b"RIFF", format="mp3"),
                        FilePart(file_id="https://files/1", media_type="application/pdf"),
                    ),
                ),
                Message(role="assistant", tool_calls=calls, thoughts=(Thought(signature="gemini-SIG"),)),
                Message(role="tool", tool_call_id="a", content='{"n":1}'),
                Message(role="tool", tool_call_id="b", content="broken", is_error=True),
                Message(role="developer", content="Go on."),
                Message(role="user", content="And?"),
            ),
            temperature=0.5,
            top_p=0.9,
            top_k=5,
            max_tokens=100,
            seed=7,
            n=2,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            stop="END",
            tools=(TOOL, {"type": "function", "function": {"name": "look"}}),
            tool_choice={"type": "function", "function": {"name": "find"}},
            reasoning=Reasoning(effort="low", summary="auto"),
            response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
            logprobs=True,
            top_logprobs=3,
            parallel_tool_calls=True,
            extra={"safetySettings": [{"category": "c", "threshold": "t"}], "store": True},
        )
    )

    assert body == {
        "safetySettings": [{"category": "c", "threshold": "t"}],
        "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Go on."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Look"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
                    {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://h/a.JPG?x=1"}},
                    {"inlineData": {"mimeType": "audio/mpeg", "data": "UklGRg=="}},
                    {"fileData": {"mimeType": "application/pdf", "fileUri": "https://files/1"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "find", "args": {"q": "x"}}, "thoughtSignature": "SIG"},
                    {"functionCall": {"name": "look", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "find", "response": {"n": 1}}},
                    {"functionResponse": {"name": "look", "response": {"error": "broken"}}},
                    {"text": "And?"},
                ],
            },
        ],
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 5,
            "maxOutputTokens": 100,
            "seed": 7,
            "candidateCount": 2,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True},
        },
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "find", "description": "Finds", "parametersJsonSchema": {"type": "object"}},
                    {"name": "look"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}},
    }


@pytest.mark.parametrize(
    ("model", "wanted", "config"),
    [
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Reasoning(effort="xhigh"), {"thinkingBudget": 24576}),
        ("gemini-3-pro", Reasoning(effort="max"), {"thinkingLevel": "high"}),
        ("gemini-2.5-pro", Reasoning(budget=500), {"thinkingBudget": 500, "includeThoughts": True}),
        ("gemini-2.5-pro", Reasoning(is_adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
    ],
)
def test_how_much_to_think_is_said_in_the_models_own_measure(
    model: str, wanted: Reasoning, config: dict[str, Any]
) -> None:
    body = said(ChatRequest(messages=USER, reasoning=wanted), model)
    assert body["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    ("model", "signature", "sent"),
    [
        ("gemini-3-pro", "", "skip_thought_signature_validator"),
        ("gemini-3-pro", "of-another-vendor", "skip_thought_signature_validator"),
        ("gemini-3-pro", "gemini-own", "own"),
        ("gemini-2.5-flash", "", None),
    ],
)
def test_a_call_goes_back_with_googles_signature_or_without_one(model: str, signature: str, sent: str | None) -> None:
    thoughts = (Thought(signature=signature),) if signature else ()
    call = ToolCall(id="a", name="find", arguments="{}")
    body = said(ChatRequest(messages=(*USER, Message(role="assistant", tool_calls=(call,), thoughts=thoughts))), model)

    assert body["contents"][1]["parts"][0].get("thoughtSignature") == sent


UNSAID = [
    ({"logit_bias": {"1": 1.0}}, "logit_bias"),
    ({"audio": {"voice": "x"}}, "audio"),
    ({"parallel_tool_calls": False, "tools": (TOOL,)}, "parallel"),
    ({"tools": ({"type": "web_search"},)}, "web_search"),
    ({"tools": ({"type": "function", "function": {}},)}, "name"),
    ({"extra": {"prediction_of": 1}}, "prediction_of"),
    ({"messages": (Message(role="system", content="x"),)}, "instructions"),
    ({"messages": (Message(role="tool", tool_call_id="z", content="x"),)}, "'z'"),
    ({"messages": (Message(role="user", content=(ImagePart(),)),)}, "neither"),
    ({"response_format": {"type": "json_schema"}}, "schema"),
]


@pytest.mark.parametrize(("fields", "word"), UNSAID)
def test_what_cannot_be_said_is_refused_in_words(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        GEMINI.encode_request(ChatRequest(**{"messages": USER, **fields}), model="gemini-3-pro", stream=False)


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
    body = said(ChatRequest(messages=(*USER, message)))

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
