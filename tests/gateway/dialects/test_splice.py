"""A body that passes: what is asked for is changed, every other value stays byte by byte."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.dialects.interface import Splice
from pilothouse.gateway.dialects.reading import read_body

FORMS = ("openai.chat", "openai.completions", "openai.responses", "anthropic.messages")
LIMITS = {
    "openai.chat": ("max_completion_tokens", "max_tokens"),
    "openai.completions": ("max_tokens",),
    "openai.responses": ("max_output_tokens",),
    "anthropic.messages": ("max_tokens",),
}
CHANGED = {"model", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens"}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
others = st.dictionaries(st.text(min_size=1).filter(lambda key: key not in {*CHANGED, "stream"}), values, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    wire=st.sampled_from(FORMS),
    other=others,
    indent=st.sampled_from([None, 2]),
    plain=st.booleans(),
    limit=st.none() | st.integers(1, 9000),
    most=st.none() | st.integers(1, 9000),
    stream=st.booleans(),
)
def test_only_what_is_asked_for_changes(wire, other, indent, plain, limit, most, stream):
    field = LIMITS[wire][0]
    body = {**other, "model": "asked", "stream": stream} | ({} if limit is None else {field: limit})
    data = json.dumps(body, indent=indent, ensure_ascii=plain).encode("utf-8", errors="replace")
    before = read_body(data)
    out = codec(wire).splice(before, Splice(model="there", max_output_tokens=most, ask_usage=True))
    after = msgspec.json.decode(out, type=dict[str, msgspec.Raw])
    for name, raw in before.items():
        if name not in CHANGED:
            assert bytes(after[name]) == bytes(raw)
    said = json.loads(out)
    assert said["model"] == "there"
    limits = [said[name] for name in CHANGED - {"model", "stream_options"} if name in said]
    assert limits == ([] if limit is None and most is None else [min(limit or 9999, most or 9999)])
    asks = wire in {"openai.chat", "openai.completions"} and stream
    assert said.get("stream_options") == ({"include_usage": True} if asks else None)


def test_without_changes_a_dense_body_is_the_same_bytes():
    data = b'{"model":"m","messages":[{"role":"user","content":"\\u00e9 1.50"}],"temperature":1.50,"max_tokens":1e2}'
    for wire in FORMS:
        assert codec(wire).splice(read_body(data), Splice()) == data


@pytest.mark.parametrize(
    ("model", "field"),
    [("gpt-4o", "max_tokens"), ("o3-mini", "max_completion_tokens"), ("openai/gpt-5", "max_completion_tokens")],
)
def test_a_bound_is_put_in_under_the_name_the_model_knows(model, field):
    body = read_body(b'{"model":"route","messages":[]}')
    said = json.loads(codec("openai.chat").splice(body, Splice(model=model, max_output_tokens=7)))
    assert said[field] == 7


def test_every_name_of_the_limit_is_bounded():
    body = read_body(b'{"model":"m","max_tokens":50,"max_completion_tokens":null}')
    said = json.loads(codec("openai.chat").splice(body, Splice(max_output_tokens=7)))
    assert said == {"model": "m", "max_tokens": 7, "max_completion_tokens": None}


def test_options_of_the_stream_are_kept():
    body = read_body(b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}')
    said = json.loads(codec("openai.chat").splice(body, Splice(ask_usage=True)))
    assert said["stream_options"] == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize("options", [b"7", b'"yes"', b"[]"])
def test_options_that_are_no_object_are_named(options):
    body = read_body(b'{"model":"m","stream":true,"stream_options":' + options + b"}")
    with pytest.raises(ValueError, match="stream_options"):
        codec("openai.chat").splice(body, Splice(ask_usage=True))
