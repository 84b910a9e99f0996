"""What is known of a request before anything is decided, and which mistakes are named."""

import msgspec
import pytest

from pilothouse.gateway.dialects.facts import check_request
from pilothouse.gateway.dialects.reading import read_body

from .goldens import golden


def facts(wire, text, **more):
    return check_request(wire, read_body(text if isinstance(text, bytes) else text.encode()), **more)


def test_what_a_chat_says_about_itself():
    found = facts("openai.chat", golden("openai.chat", "request.json"))
    assert (found.model, found.max_output_tokens, found.user) == ("gpt-5-mini", 300, "u-7")
    assert (found.images, found.files, found.has_tools, found.stream, found.include_usage) == (2, 1, True, False, False)


@pytest.mark.parametrize("wire", ["openai.responses", "anthropic.messages"])
def test_what_the_other_forms_say(wire):
    found = facts(wire, golden(wire, "request.json"))
    assert (found.max_output_tokens, found.user, found.images, found.files) == (300, "u-7", 2, 1)
    assert found.include_usage
    assert found.has_tools


def test_tags_and_conversation():
    text = (
        '{"model":"m","input":"x","conversation":{"id":"conv_1"},"metadata":{"app":"demo","empty":null},"stream":true}'
    )
    found = facts("openai.responses", text)
    assert (found.session, found.metadata, found.stream) == ("conv_1", {"app": "demo"}, True)
    assert facts("openai.chat", '{"model":"m","messages":[],"prompt_cache_key":"k"}').session == "k"
    assert facts("openai.chat", '{"model":"m","messages":[],"metadata":{"session_id":"s"}}').session == "s"


def test_a_model_in_the_address_stands_in():
    assert facts("openai.chat", '{"messages":[]}', model="deployed").model == "deployed"


def test_the_smaller_of_two_limits_counts():
    text = '{"model":"m","messages":[],"max_tokens":9,"max_completion_tokens":5,"n":3}'
    assert (facts("openai.chat", text).max_output_tokens, facts("openai.chat", text).n) == (5, 3)


@pytest.mark.parametrize(
    ("wire", "text", "named"),
    [
        ("openai.chat", '{"messages":[]}', "`model`"),
        ("openai.chat", '{"model":"","messages":[]}', "`model`"),
        ("openai.chat", '{"model":7,"messages":[]}', "`model`"),
        ("openai.chat", '{"model":"m"}', "`messages`"),
        ("openai.chat", '{"model":"m","messages":null}', "`messages`"),
        ("openai.chat", '{"model":"m","messages":"hi"}', "`messages`"),
        ("openai.chat", '{"model":"m","messages":[],"stream":"yes"}', "`stream`"),
        ("openai.chat", '{"model":"m","messages":[],"max_tokens":-1}', "`max_tokens`"),
        ("openai.chat", '{"model":"m","messages":[],"max_tokens":"9"}', "`max_tokens`"),
        ("openai.chat", '{"model":"m","messages":[],"max_completion_tokens":0}', "`max_completion_tokens`"),
        ("openai.chat", '{"model":"m","messages":[],"n":0}', "`n`"),
        ("openai.chat", '{"model":"m","messages":[],"user":{}}', "`user`"),
        ("openai.chat", '{"model":"m","messages":[],"user":"\\ud800"}', "`user`|cannot be read"),
        ("openai.chat", '{"model":"m","messages":[],"tools":{}}', "`tools`"),
        ("openai.chat", '{"model":"m","messages":[],"stream_options":{"include_usage":1}}', "include_usage"),
        ("openai.chat", '{"model":"m","messages":[],"metadata":{"a":1}}', "metadata.a"),
        ("openai.chat", '{"model":"m","messages":[],"metadata":{"a":"' + "x" * 600 + '"}}', "metadata.a"),
        ("openai.responses", '{"model":"m","max_output_tokens":-5}', "`max_output_tokens`"),
        ("anthropic.messages", '{"model":"m","messages":[],"max_tokens":-5}', "`max_tokens`"),
        ("openai.embeddings", '{"model":"m"}', "`input`"),
        ("cohere.rerank", '{"model":"m","query":"q","documents":"d"}', "`documents`"),
    ],
)
def test_the_wrong_field_is_named(wire, text, named):
    with pytest.raises(ValueError, match=named):
        facts(wire, text)


def test_too_many_tags_are_refused():
    tags = {f"t{number}": "x" for number in range(17)}
    with pytest.raises(ValueError, match="16"):
        facts("openai.chat", msgspec.json.encode({"model": "m", "messages": [], "metadata": tags}))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"a":NaN}', b'{"model":"\xff"}', b'{"model":"m"', b"[" * 200_000, b'{"a":' * 200_000],
)
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(ValueError, match="the body"):
        read_body(body)
