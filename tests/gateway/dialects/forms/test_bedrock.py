"""Amazon's form: requests as botocore's own model of the service accepts them, streams in its binary framing."""

from __future__ import annotations

import json
import random
import struct
from typing import Any
from zlib import crc32

import botocore.session
import msgspec
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.bedrock.codec import BEDROCK
from pilothouse.gateway.dialects.bedrock.eventstream import FrameParser
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

CLAUDE = "us.anthropic.claude-sonnet-4-v1:0"
TOOL = {"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}}
CALL = ToolCall(id="t1", name="find", arguments='{"q":"x"}')


def said(request: ChatRequest, model: str = CLAUDE) -> dict[str, Any]:
    """Return the body, once the service's own description has accepted it."""
    body = json.loads(BEDROCK.encode_request(request, model=model, stream=True))
    service = botocore.session.Session().get_service_model("bedrock-runtime")
    shape = service.operation_model("ConverseStream").input_shape
    report = ParamValidator().validate({"modelId": model, **body}, shape)
    assert not report.has_errors(), report.generate_report()
    return body


def test_a_conversation_with_everything_is_said() -> None:
    body = said(
        ChatRequest(
            messages=(
                Message(role="system", content=(TextPart(text="Be kind.", cache="1h"),)),
                Message(
                    role="user",
                    content=(
                        TextPart(text="Look"),
                        ImagePart(data=b"\x89PNG", media_type="image/png"),
                        FilePart(name="my_file:1.pdf", data=b"%PDF", media_type="application/pdf"),
                        AudioPart(data=b"RIFF", format="wav"),
                    ),
                ),
                Message(
                    role="assistant", content="Well", tool_calls=(CALL,), thoughts=(Thought(text="Hm", signature="s"),)
                ),
                Message(role="tool", tool_call_id="t1", content="42", cache="5m"),
                Message(role="tool", tool_call_id="t2", content="no", is_error=True),
                Message(role="user", content="And?"),
            ),
            temperature=0.5,
            top_p=0.9,
            top_k=5,
            max_tokens=100,
            stop=("END",),
            tools=(TOOL,),
            tool_choice={"type": "function", "function": {"name": "find"}},
            reasoning=Reasoning(budget=2048),
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
            user="u",
            metadata={"a": "b"},
        )
    )

    assert body["system"] == [{"text": "Be kind."}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][2]["document"]["name"] == "my file 1 3"
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
        {"text": "Well"},
        {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"q": "x"}}},
    ]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "42"}]}},
        {"cachePoint": {"type": "default"}},
        {"toolResult": {"toolUseId": "t2", "content": [{"text": "no"}], "status": "error"}},
        {"text": "And?"},
    ]
    assert body["inferenceConfig"] == {"temperature": 0.5, "topP": 0.9, "maxTokens": 100, "stopSequences": ["END"]}
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "find"}}
    assert body["additionalModelRequestFields"] == {
        "top_k": 5,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (schema["name"], json.loads(schema["schema"])) == ("a", {"type": "object"})


def test_amazons_own_keys_pass_and_win() -> None:
    body = said(
        ChatRequest(
            messages=(Message(role="user", content="x"),),
            top_k=1,
            reasoning=Reasoning(effort="high"),
            extra={"additionalModelRequestFields": {"top_k": 9}, "serviceTier": {"type": "priority"}, "store": True},
        )
    )

    assert body["additionalModelRequestFields"] == {"top_k": 9}
    assert body["serviceTier"] == {"type": "priority"}
    assert body["outputConfig"] == {"effort": "high"}
    assert "store" not in body


USER = (Message(role="user", content="x"),)
UNSAID = [
    ({"n": 2}, "n"),
    ({"seed": 1}, "seed"),
    ({"logit_bias": {"1": 1.0}}, "logit_bias"),
    ({"logprobs": True}, "logprobs"),
    ({"response_format": {"type": "json_object"}}, "json_object"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"tools": (TOOL,), "tool_choice": "none"}, "none"),
    ({"tools": ({"type": "web_search"},)}, "web_search"),
    ({"tools": (TOOL,), "tool_choice": {"x": 1}}, "tool_choice"),
    ({"extra": {"logits": 1}}, "logits"),
    ({"messages": (Message(role="system", content="x"),)}, "instructions"),
    ({"messages": (*USER, Message(role="assistant", tool_calls=(CALL,)))}, "tools"),
    ({"messages": (Message(role="function", name="f", content="x"),)}, "function"),
    ({"messages": (Message(role="user", content=(ImagePart(url="http://x/a.png"),)),)}, "bytes"),
    ({"messages": (Message(role="user", content=(ImagePart(data=b"x", media_type="image/tiff"),)),)}, "tiff"),
    (
        {
            "tools": (TOOL,),
            "messages": (Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="{"),)),),
        },
        "JSON",
    ),
    (
        {
            "tools": (TOOL,),
            "messages": (Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="[]"),)),),
        },
        "object",
    ),
]


@pytest.mark.parametrize(("fields", "word"), UNSAID)
def test_what_cannot_be_said_is_refused_in_words(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        BEDROCK.encode_request(ChatRequest(**{"messages": USER, **fields}), model=CLAUDE, stream=False)


ANSWER = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
                {"text": "Hel"},
                {"text": "lo"},
                {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"q": "x"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 145,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 20}],
    },
    "metrics": {"latencyMs": 3},
}
USAGE = Usage(
    input_tokens=140, output_tokens=5, cached_input_tokens=100, cache_write_tokens=10, cache_write_long_tokens=20
)


def test_a_whole_answer_is_read() -> None:
    response = BEDROCK.decode_response(json.dumps(ANSWER).encode())

    assert response.text == "Hello"
    assert response.message.tool_calls == (CALL,)
    assert response.message.thoughts == (Thought(text="Hm", signature="sig"),)
    assert response.finish_reason == "tool_calls"
    assert response.usage == USAGE
    assert BEDROCK.usage(json.dumps(ANSWER).encode()) == (USAGE, "")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"message":"denied"}', b"\xff", b'{"output":' * 20_000]
)
def test_what_is_no_answer_is_told(body: bytes) -> None:
    with pytest.raises(ValueError):
        BEDROCK.decode_response(body)


def header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()


def frame(payload: dict[str, Any], **headers: str) -> bytes:
    block = b"".join(header(f":{name.replace('_', '-')}", value) for name, value in headers.items())
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(block) + len(body), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + body
    return message + struct.pack(">I", crc32(message))


def event(kind: str, payload: dict[str, Any]) -> bytes:
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


STREAM = b"".join(
    (
        event("messageStart", {"role": "assistant", "p": "abc"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "sig"}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Grü"}}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "ße"}}),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        event("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "find"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"q":'}}}),
        event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '"x"}'}}}),
        event("contentBlockStop", {"contentBlockIndex": 2}),
        event("messageStop", {"stopReason": "tool_use"}),
        event("metadata", {"usage": ANSWER["usage"], "metrics": {"latencyMs": 9}}),
    )
)


def read(pieces: list[bytes]) -> tuple[list[ChatChunk], bool]:
    reader = BEDROCK.reader()
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return chunks, reader.finish()


def test_botocore_reads_the_same_frames() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    theirs = [(message.headers, message.payload) for message in buffer]

    ours = [(item.headers, item.payload) for item in FrameParser().feed(STREAM)]

    assert ours == theirs


def test_a_stream_is_read() -> None:
    chunks, is_whole = read([STREAM])

    assert "".join(chunk.text for chunk in chunks) == "Grüße"
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm"
    assert [chunk.signature for chunk in chunks if chunk.signature] == ["sig"]
    calls = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert next((call.index, call.id, call.name) for call in calls) == (0, "t1", "find")
    assert "".join(call.arguments for call in calls) == '{"q":"x"}'
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [USAGE]
    assert is_whole


def test_a_stream_cut_anywhere_into_pieces_reads_the_same() -> None:
    whole, _ = read([STREAM])
    for place in range(len(STREAM)):
        assert read([STREAM[:place], STREAM[place:]]) == (whole, True)
    assert read([bytes([byte]) for byte in STREAM]) == (whole, True)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    for place in range(len(STREAM)):
        assert read([STREAM[:place]])[1] is False


def test_a_byte_that_was_changed_is_noticed() -> None:
    dice = random.Random(7)
    for place in dice.sample(range(len(STREAM)), 150):
        damaged = bytearray(STREAM)
        damaged[place] ^= 1 << dice.randrange(8)
        try:
            _, is_whole = read([bytes(damaged)])
        except ValueError:
            continue
        # A length that grew waits for more.
        assert not is_whole


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (frame({"message": "slow down"}, exception_type="throttlingException", message_type="exception"), "slow down"),
        (frame({}, exception_type="modelStreamErrorException", message_type="exception"), "modelStreamError"),
        (frame({}, error_code="500", error_message="broken", message_type="error"), "broken"),
        (b"HTTP/1.1 502 Bad Gateway\r\n", "framing"),
        (b"<html><body>no</body></html>", "framing"),
        (event("contentBlockDelta", {"contentBlockIndex": 4, "delta": {"toolUse": {"input": "x"}}}), "never began"),
        (event("metadata", {"usage": "x"}), "cannot be read"),
    ],
)
def test_a_stream_that_says_no_raises_its_words(data: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read([data])


def test_a_frame_without_bounds_is_refused() -> None:
    prelude = struct.pack(">II", 1 << 31, 0)
    with pytest.raises(ValueError, match="bytes long"):
        FrameParser().feed(prelude + struct.pack(">I", crc32(prelude)))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 255), st.binary(max_size=10))
def test_headers_of_any_kind_are_passed_over_or_refused(payload: bytes, kind: int, value: bytes) -> None:
    block = b"\x01a" + bytes([kind]) + value
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    try:
        frames = FrameParser().feed(message + struct.pack(">I", crc32(message)))
    except ValueError:
        return
    assert frames[0].payload == payload


def test_no_client_speaks_this_form() -> None:
    for call in (
        lambda: BEDROCK.decode_request(b"{}"),
        lambda: BEDROCK.writer(call_id="1", model="m", include_usage=True),
        lambda: BEDROCK.meter(hide_usage=False),
        lambda: BEDROCK.splice({"a": msgspec.Raw(b"1")}, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="upstreams alone"):
            call()
