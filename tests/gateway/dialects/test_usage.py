"""Usage to the token, as each form counts: parts are counted in their whole, a later count replaces an earlier one."""

import msgspec
import pytest

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.models.types import ChatResponse, Message, Usage

CASES = [
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {
                "cached_tokens": 30,
                "audio_tokens": 20,
                "image_tokens": 5,
                "cache_write_tokens": 7,
            },
            "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 25},
        },
        Usage(
            input_tokens=100,
            output_tokens=50,
            cached_input_tokens=30,
            audio_input_tokens=20,
            image_input_tokens=5,
            cache_write_tokens=7,
            reasoning_tokens=10,
            audio_output_tokens=25,
        ),
    ),
    (
        "openai.chat",
        {"prompt_tokens": 100, "completion_tokens": 0, "prompt_cache_hit_tokens": 64},
        Usage(input_tokens=100, cached_input_tokens=64),
    ),
    (
        "openai.responses",
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 9},
            "output_tokens_details": {"reasoning_tokens": 10},
        },
        Usage(input_tokens=100, output_tokens=50, cached_input_tokens=30, cache_write_tokens=9, reasoning_tokens=10),
    ),
    (
        "anthropic.messages",
        {
            "input_tokens": 10,
            "output_tokens": 50,
            "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 18},
        },
        Usage(
            input_tokens=240,
            output_tokens=50,
            cached_input_tokens=200,
            cache_write_tokens=12,
            cache_write_long_tokens=18,
        ),
    ),
    (
        "anthropic.messages",
        {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30, "cache_read_input_tokens": None},
        Usage(input_tokens=40, output_tokens=5, cache_write_tokens=30),
    ),
]
ANSWERS = {
    "openai.chat": {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]},
    "openai.responses": {"status": "completed", "output": []},
    "anthropic.messages": {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"},
}


@pytest.mark.parametrize(("wire", "counts", "usage"), CASES)
def test_usage_is_read_to_the_token(wire, counts, usage):
    body = msgspec.json.encode({**ANSWERS[wire], "model": "m-1", "usage": counts})
    assert codec(wire).usage(body) == (usage, "m-1")
    assert codec(wire).decode_response(body).usage == usage


@pytest.mark.parametrize(("wire", "counts", "usage"), CASES)
def test_usage_survives_the_form_it_came_in(wire, counts, usage):
    answer = ChatResponse(message=Message(role="assistant", content="x"), finish_reason="stop", usage=usage)
    assert codec(wire).usage(codec(wire).encode_response(answer))[0] == usage


@pytest.mark.parametrize("wire", ANSWERS)
def test_an_answer_without_usage_has_none(wire):
    body = msgspec.json.encode({**ANSWERS[wire], "model": "m-1"})
    assert codec(wire).usage(body) == (None, "m-1")


@pytest.mark.parametrize("wire", ANSWERS)
@pytest.mark.parametrize("body", [b"<html>", b"{}", b"", b'{"error":{"message":"no"}}', b"[1]"])
def test_what_is_no_answer_is_refused(wire, body):
    with pytest.raises(ValueError):
        codec(wire).usage(body)


def test_counts_of_messages_replace_each_other():
    meter = codec("anthropic.messages").meter(hide_usage=False)
    start = b'{"type":"message_start","message":{"model":"c","usage":{"input_tokens":9,"output_tokens":1,"cache_read_input_tokens":5}}}'
    meter.feed(b"event: message_start\ndata: " + start + b"\n\n")
    assert meter.usage == Usage(input_tokens=14, cached_input_tokens=5)
    for count in (20, 33):
        delta = b'{"type":"message_delta","delta":{},"usage":{"output_tokens":%d}}' % count
        meter.feed(b"event: message_delta\ndata: " + delta + b"\n\n")
    assert meter.usage == Usage(input_tokens=14, output_tokens=33, cached_input_tokens=5)
