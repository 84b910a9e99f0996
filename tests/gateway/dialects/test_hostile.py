"""Bodies with anything anywhere: read or refused in words, never with an error of another kind."""

import copy
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.dialects.facts import check_request
from pilothouse.gateway.dialects.reading import read_body

from .goldens import RICH, golden

FORMS = (*RICH, "openai.completions")
ODD = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**30, "", "x", "\x00", [], {}, [7], ["x"], [None], {"type": "x"}, {"a": {}}]
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def spoiled(value, path, odd):
    if not path:
        return odd
    value = copy.deepcopy(value)
    spot = value
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = odd
    return value


def cases(name):
    found = []
    for wire in FORMS:
        whole = msgspec.json.decode(golden(wire, name))
        found.extend((wire, whole, path) for path in places(whole))
    return st.sampled_from(found)


@settings(max_examples=400, deadline=None)
@given(case=cases("request.json"), odd=ODD, target=st.sampled_from(FORMS))
def test_a_spoiled_request_is_read_or_refused(case, odd, target):
    wire, whole, path = case
    body = msgspec.json.encode(spoiled(whole, path, odd))
    with suppress(ValueError):
        check_request(wire, read_body(body))
    with suppress(ValueError):
        request = codec(wire).decode_request(body)
        codec(target).encode_request(request, model="m", stream=True)


@settings(max_examples=400, deadline=None)
@given(case=cases("answer.json"), odd=ODD, target=st.sampled_from(FORMS))
def test_a_spoiled_answer_is_read_or_refused(case, odd, target):
    wire, whole, path = case
    body = msgspec.json.encode(spoiled(whole, path, odd))
    with suppress(ValueError):
        codec(wire).usage(body)
        codec(target).encode_response(codec(wire).decode_response(body))


def events(wire):
    lines = golden(wire, "stream.sse").decode().splitlines()
    return [msgspec.json.decode(line[6:]) for line in lines if line.startswith("data: {")]


EVENTS = st.sampled_from([(wire, event, path) for wire in FORMS for event in events(wire) for path in places(event)])


@settings(max_examples=600, deadline=None)
@given(case=EVENTS, odd=ODD, target=st.sampled_from(FORMS))
def test_a_spoiled_event_is_read_or_refused(case, odd, target):
    wire, event, path = case
    data = b"data: " + msgspec.json.encode(spoiled(event, path, odd)) + b"\n\n"
    meter, reader = codec(wire).meter(hide_usage=True), codec(wire).reader()
    writer = codec(target).writer(call_id="c", model="m", include_usage=True)
    with suppress(ValueError):
        assert meter.feed(data) in {data, b""}
        for chunk in reader.feed(data):
            writer.feed(chunk)
        writer.finish(meter.usage)


@settings(max_examples=100, deadline=None)
@given(wire=st.sampled_from(FORMS), sizes=st.lists(st.integers(1, 300), min_size=1), returns=st.booleans())
def test_any_cut_of_the_bytes_passes_the_same(wire, sizes, returns):
    data = golden(wire, "stream.sse")
    data = data.replace(b"\n", b"\r\n") if returns else data
    whole, parts = codec(wire).meter(hide_usage=False), codec(wire).meter(hide_usage=False)
    assert whole.feed(data) == data
    out, begin = [], 0
    while begin < len(data):
        size = sizes[len(out) % len(sizes)]
        out.append(parts.feed(data[begin : begin + size]))
        begin += size
    assert b"".join(out) == data
    for name in ("usage", "model", "text_bytes", "is_finished", "in_tool_call"):
        assert getattr(parts, name) == getattr(whole, name)


@pytest.mark.parametrize("wire", FORMS)
@pytest.mark.parametrize(
    "body", [b"\xff", b"{", b"[]", b'{"model":NaN}', b'{"a":' * 100_000, b'{"messages":[{"content":"\xff"}]}']
)
def test_what_is_no_body_is_refused(wire, body):
    with pytest.raises(ValueError):
        codec(wire).decode_request(body)
    with pytest.raises(ValueError):
        codec(wire).decode_response(body)
