"""What another form cannot say is refused in words, never dropped; what means nothing there may stay behind."""

import msgspec
import pytest

from pilothouse.gateway.dialects.codecs import codec

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def said(target, **more):
    request = codec("openai.chat").decode_request(msgspec.json.encode({**CHAT, **more}))
    return msgspec.json.decode(codec(target).encode_request(request, model="m", stream=False))


@pytest.mark.parametrize(
    ("target", "more", "named"),
    [
        ("anthropic.messages", {"seed": 7}, "seed"),
        ("anthropic.messages", {"n": 2}, "`n`"),
        ("anthropic.messages", {"logprobs": True}, "logprobs"),
        ("anthropic.messages", {"logit_bias": {"5": 1}}, "logit_bias"),
        ("anthropic.messages", {"presence_penalty": 0.5}, "presence_penalty"),
        ("anthropic.messages", {"temperature": 1.5}, "temperature"),
        ("anthropic.messages", {"modalities": ["text", "audio"]}, "modalities"),
        ("anthropic.messages", {"response_format": {"type": "json_object"}}, "response_format"),
        ("anthropic.messages", {"service_tier": "flex"}, "service_tier"),
        ("anthropic.messages", {"functions": [{"name": "f"}]}, "functions"),
        ("anthropic.messages", {"tools": [{"type": "custom", "custom": {}}]}, "tools"),
        ("anthropic.messages", {"web_search_options": {}}, "web_search_options"),
        ("openai.responses", {"stop": "x"}, "stop"),
        ("openai.responses", {"seed": 7}, "seed"),
        ("openai.responses", {"top_k": 7}, "top_k"),
        ("openai.completions", {"tools": [{"type": "function"}]}, "tools"),
        (
            "anthropic.messages",
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "aGk="}}]}]},
            "input_audio",
        ),
        (
            "anthropic.messages",
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "file_id",
        ),
        (
            "anthropic.messages",
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{x"}}]}
                ]
            },
            "arguments of the tool 'f'",
        ),
        ("openai.completions", {"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ],
)
def test_it_is_refused_by_name(target, more, named):
    with pytest.raises(ValueError, match=named):
        said(target, **more)


@pytest.mark.parametrize("target", ["anthropic.messages", "openai.responses"])
def test_what_means_nothing_there_stays_behind(target):
    body = said(target, n=1, presence_penalty=0, logprobs=False, prediction={"type": "content", "content": "x"})
    assert not {"n", "presence_penalty", "logprobs", "prediction"} & set(body)


@pytest.mark.parametrize(
    ("wire", "more", "named"),
    [
        ("anthropic.messages", {"tools": [{"type": "web_search_20250305", "name": "w"}]}, "web_search"),
        ("anthropic.messages", {"container": "c"}, "container"),
        ("anthropic.messages", {"max_tokens": -1}, "max_tokens"),
        ("anthropic.messages", {"thinking": {"type": "enabled"}}, "budget_tokens"),
        ("openai.responses", {"previous_response_id": "r"}, "previous_response_id"),
        ("openai.responses", {"background": True}, "background"),
        ("openai.responses", {"tools": [{"type": "web_search"}]}, "web_search"),
        ("openai.responses", {"input": [{"type": "item_reference", "id": "x"}]}, r"input\[0\]"),
        ("openai.responses", {"max_output_tokens": 0}, "max_output_tokens"),
        ("openai.completions", {"prompt": [1, 2, 3]}, "prompt"),
        ("openai.completions", {"echo": True}, "echo"),
        ("openai.chat", {"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role"),
        ("openai.chat", {"messages": [{"role": "user", "content": [{"type": "video"}]}]}, r"content\[0\].type"),
        ("openai.chat", {"messages": [{"role": "user", "content": [7]}]}, r"content\[0\]"),
        ("openai.chat", {"max_tokens": -3}, "max_tokens"),
        ("openai.chat", {"temperature": "hot"}, "temperature"),
        (
            "openai.chat",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]}
                ]
            },
            "image_url.url",
        ),
    ],
)
def test_a_wrong_or_untranslatable_field_is_named(wire, more, named):
    base = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x"}
    extra = {"openai.responses": {"max_tokens", "messages", "prompt"}, "openai.completions": {"messages", "input"}}
    drop = extra.get(wire, {"input", "prompt"})
    body = {key: value for key, value in {**base, **more}.items() if key not in drop - set(more)}
    with pytest.raises(ValueError, match=named):
        codec(wire).decode_request(msgspec.json.encode(body))


def test_signed_thoughts_return_to_their_vendor():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    result = {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": [{"type": "text", "text": "no"}]}
    body = {
        "model": "c",
        "max_tokens": 5,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}],
    }
    form = codec("anthropic.messages")
    request = form.decode_request(msgspec.json.encode(body))
    again = msgspec.json.decode(form.encode_request(request, model="c", stream=False))
    assert again["messages"][0]["content"] == blocks
    assert again["messages"][1]["content"][0] == {**result, "content": "no"}
    assert (again["system"], again["thinking"]) == (body["system"], body["thinking"])
    chat = msgspec.json.decode(codec("openai.chat").encode_request(request, model="gpt-5", stream=False))
    assert chat["reasoning_effort"] == "low"
    assert "c2ln" not in msgspec.json.encode(chat["messages"][0]).decode()
