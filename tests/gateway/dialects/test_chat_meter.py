"""Passing streams of chat: what is handed on, what is understood."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.models.types import Usage

HEAD = b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":'
TEXT = (
    b"data: "
    + HEAD
    + b'[{"index":0,"delta":{"role":"assistant","content":"h\xc3\xa9llo"},"finish_reason":null}],"usage":null}'
)
CALL = (
    b"data: "
    + HEAD
    + b'[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}}]}'
)
STOP = b"data: " + HEAD + b'[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}'
USAGE = (
    b"data: "
    + HEAD
    + b'[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}'
)
DONE = b"data: [DONE]"
EVENTS = [b": ping", TEXT, CALL, STOP, USAGE, DONE]


def stream(end: bytes = b"\n", events: list[bytes] = EVENTS) -> bytes:
    return b"".join(event + end + end for event in events)


def watched(data: bytes, cuts: list[int], *, hide: bool):
    meter = codec("openai.chat").meter(hide_usage=hide)
    places = [0, *sorted(cuts), len(data)]
    out = b"".join(meter.feed(data[a:b]) for a, b in pairwise(places))
    return meter, out


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_passes_unchanged(end):
    data = stream(end)
    meter, out = watched(data, [], hide=False)
    assert out == data
    assert meter.usage == Usage(input_tokens=9, output_tokens=4, cached_input_tokens=2)
    assert (meter.model, meter.is_finished, meter.in_tool_call) == ("gpt-x", True, False)
    assert (meter.has_begun, meter.deltas, meter.pieces) == (True, len(EVENTS) - 1, 2)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_usage_that_only_we_asked_for_is_hidden(end):
    _, out = watched(stream(end), [], hide=True)
    assert out == stream(end, [b": ping", TEXT, CALL, STOP, DONE])


@settings(max_examples=150, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(stream(b"\r\n"))), max_size=40),
    end=st.sampled_from([b"\n", b"\r\n"]),
    hide=st.booleans(),
)
def test_any_cut_of_the_bytes_gives_the_same(cuts, end, hide):
    data = stream(end)
    whole, out = watched(data, [], hide=hide)
    parts, pieces = watched(data, [min(cut, len(data)) for cut in cuts], hide=hide)
    assert pieces == out
    assert (parts.usage, parts.model, parts.text_bytes, parts.is_finished) == (
        whole.usage,
        whole.model,
        whole.text_bytes,
        whole.is_finished,
    )


def test_a_tool_call_is_open_until_its_answer_ends():
    meter = codec("openai.chat").meter(hide_usage=False)
    meter.feed(TEXT + b"\n\n")
    assert not meter.in_tool_call
    meter.feed(CALL + b"\n\n")
    assert meter.in_tool_call
    meter.feed(STOP + b"\n\n")
    assert not meter.in_tool_call


def test_a_later_usage_replaces_an_earlier_one():
    later = USAGE.replace(b'"completion_tokens":4', b'"completion_tokens":7')
    meter, _ = watched(stream(events=[TEXT, USAGE, later, DONE]), [], hide=False)
    assert meter.usage == Usage(input_tokens=9, output_tokens=7, cached_input_tokens=2)


def test_without_done_an_answer_is_whole_once_it_gave_its_reason():
    meter, _ = watched(stream(events=[TEXT]), [], hide=False)
    assert not meter.is_finished
    meter.feed(STOP + b"\n\n")
    assert meter.is_finished


def test_an_error_in_the_stream_ends_what_is_handed_on():
    error = b'data: {"error":{"message":"out of memory","code":500}}'
    meter, out = watched(stream(events=[TEXT, error, CALL]), [], hide=False)
    assert out == stream(events=[TEXT])
    assert meter.error == "out of memory"
    assert meter.feed(TEXT + b"\n\n") == b""


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>502</body></html>",
        b'{"error":{"message":"no"}}',
        b"data: {broken\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n',
        b"data: " + b"x" * (17 << 20),
        b"data: {}\nnonsense without a name\n\n",
        b'data: {"choices":' + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_is_no_stream_is_refused(data):
    meter = codec("openai.chat").meter(hide_usage=False)
    with pytest.raises(ValueError):
        b"".join(meter.feed(data[begin : begin + (1 << 16)]) for begin in range(0, len(data), 1 << 16))
