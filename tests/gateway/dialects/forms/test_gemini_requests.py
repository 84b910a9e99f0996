"""Google's form: requests said in the documented shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilothouse.gateway.dialects.gemini.codec import GEMINI
from pilothouse.models.types import (
    AudioPart,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Reasoning,
    TextPart,
    Thought,
    ToolCall,
)

TOOL = {"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}}
USER = (Message(role="user", content="x"),)


def said(request: ChatRequest, model: str = "gemini-3-pro") -> dict[str, Any]:
    return json.loads(GEMINI.encode_request(request, model=model, stream=False))


CALLS = (
    ToolCall(id="a", name="find", arguments='{"q":"x"}'),
    ToolCall(id="b", name="look", arguments=""),
)
CONVERSATION = ChatRequest(
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
        Message(role="assistant", tool_calls=CALLS, thoughts=(Thought(signature="gemini-SIG"),)),
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
SAID: dict[str, Any] = {
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


def test_a_conversation_with_everything_is_said() -> None:
    assert said(CONVERSATION) == SAID


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
