"""Requests of every wire, whole answers, guards that fail, and what a call reports of them."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec
import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.gateway.guards import pipeline as pipeline_module
from pilothouse.gateway.guards.pipeline import GuardedCall, GuardPipeline
from pilothouse.gateway.guards.shapes import ANSWERS, REQUESTS
from pilothouse.gateway.guards.types import GuardContext, Subject, Verdict
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import GuardSettings
from pilothouse.gateway.types import Tenant, Wire

SECRET = "joe.bloggs@example.com"


def json_of(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def opened(wire: str, *guards: dict[str, Any]) -> GuardedCall:
    named = {
        f"g{index}": msgspec.convert(guard, GuardSettings) for index, guard in enumerate(guards or [{"type": "redact"}])
    }
    made = GuardPipeline.compile(list(named), named)
    assert made is not None
    return made.open(GuardContext(wire=wire, tenant=Tenant(key="k"), route="r", call_id="c"))  # type: ignore[arg-type]


def before(wire: str, value: Any, *guards: dict[str, Any]) -> Any:
    body = msgspec.json.decode(msgspec.json.encode(value), type=dict[str, msgspec.Raw])
    return msgspec.json.decode(msgspec.json.encode(asyncio.run(opened(wire, *guards).before(body))))


BODIES: dict[str, Any] = {
    "openai.chat": {
        "messages": [
            {"role": "system", "content": SECRET},
            {"role": "user", "content": [{"type": "text", "text": SECRET}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": json_of({"a": [SECRET]})}}]},
            {"role": "tool", "tool_call_id": "1", "content": SECRET},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": SECRET, "parameters": {"type": "object"}}}],
    },
    "openai.completions": {"prompt": ["a", SECRET], "suffix": SECRET},
    "openai.responses": {
        "instructions": SECRET,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": SECRET}]},
            {"type": "function_call", "arguments": json_of({SECRET: 1})},
            {"type": "function_call_output", "output": SECRET},
        ],
    },
    "openai.embeddings": {"input": [SECRET, "b"]},
    "openai.images": {"prompt": SECRET},
    "openai.speech": {"input": SECRET},
    "openai.transcriptions": {"prompt": SECRET},
    "openai.moderations": {"input": [{"type": "text", "text": SECRET}]},
    "anthropic.messages": {
        "system": [{"type": "text", "text": SECRET}],
        "messages": [
            {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": SECRET}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"to": {"x": SECRET}}}]},
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": SECRET}]}]},
        ],
    },
    "anthropic.count_tokens": {"messages": [{"role": "user", "content": SECRET}]},
    "gemini.generate": {
        "systemInstruction": {"parts": [{"text": SECRET}]},
        "contents": [{"parts": [{"functionCall": {"name": "f", "args": {"a": SECRET}}}, {"functionResponse": {"response": [SECRET]}}]}],
    },
    "gemini.embed": {"content": {"parts": [{"text": SECRET}]}},
    "bedrock.converse": {
        "system": [{"text": SECRET}],
        "messages": [{"content": [{"toolUse": {"input": {"a": SECRET}}}, {"toolResult": {"content": [{"json": {"b": SECRET}}]}}]}],
    },
    "bedrock.embed": {"inputText": SECRET},
    "cohere.chat": {"messages": [{"role": "user", "content": SECRET}], "documents": [{"data": {"snippet": SECRET}}, SECRET]},
    "cohere.embed": {"texts": [SECRET]},
    "cohere.rerank": {"query": SECRET, "documents": [SECRET, {"text": SECRET}]},
}  # fmt: skip


def test_every_wire_has_a_shape_or_is_refused() -> None:
    assert set(get_args(Wire)) - {"openai.raw"} == set(REQUESTS) == set(ANSWERS) == set(BODIES)
    with pytest.raises(Refusal, match="files and batches"):
        before("openai.raw", {"a": 1})


@pytest.mark.parametrize("wire", BODIES)
def test_no_text_of_a_request_is_overlooked_and_nothing_else_is_touched(wire: str) -> None:
    value = {**BODIES[wire], "model": SECRET, "temperature": 1.50, "metadata": {"a": SECRET}}
    found = before(wire, value)
    assert (found.pop("model"), found.pop("temperature"), found.pop("metadata")) == (SECRET, 1.5, {"a": SECRET})
    assert msgspec.json.encode(found) == msgspec.json.encode(BODIES[wire]).replace(SECRET.encode(), b"[EMAIL]")


ANSWER_BODIES: dict[str, Any] = {
    "openai.chat": {"id": SECRET, "choices": [{"message": {"content": SECRET, "tool_calls": [{"function": {"arguments": json_of({"a": SECRET})}}]}}]},
    "openai.completions": {"choices": [{"text": SECRET}]},
    "openai.responses": {"output": [{"content": [{"type": "output_text", "text": SECRET}]}, {"summary": [{"text": SECRET}]}]},
    "anthropic.messages": {"content": [{"type": "text", "text": SECRET}, {"type": "tool_use", "input": {"a": [SECRET]}}]},
    "gemini.generate": {"candidates": [{"content": {"parts": [{"text": SECRET}, {"functionCall": {"args": {"a": SECRET}}}]}}]},
    "bedrock.converse": {"output": {"message": {"content": [{"text": SECRET}, {"toolUse": {"input": {"a": SECRET}}}]}}},
    "cohere.chat": {"message": {"content": [{"text": SECRET}], "tool_plan": SECRET}},
    "cohere.rerank": {"results": [{"document": {"text": SECRET}}]},
    "openai.transcriptions": {"text": SECRET, "segments": [{"text": SECRET}]},
    "openai.images": {"data": [{"revised_prompt": SECRET}]},
}  # fmt: skip


@pytest.mark.parametrize("wire", ANSWER_BODIES)
def test_no_text_of_an_answer_is_overlooked(wire: str) -> None:
    raw = msgspec.json.encode(ANSWER_BODIES[wire])
    call = opened(wire)
    found = asyncio.run(call.after(raw))
    assert found.replace(b'"id":"%s"' % SECRET.encode(), b"").count(SECRET.encode()) == 0
    assert call.outcomes[0].findings["email"] == raw.count(SECRET.encode()) - (b'"id"' in raw)


def test_an_answer_without_findings_is_the_same_bytes() -> None:
    raw = b'{"choices" : [{"message":{"content":"hi \\u00e9"},"logprobs":1.50}]}'
    assert asyncio.run(opened("openai.chat").after(raw)) is raw


def test_a_key_that_stands_twice_is_sent_as_it_was_read() -> None:
    raw = b'{"messages":[{"role":"user","content":"%s","content":"hello"}]}' % SECRET.encode()
    body = asyncio.run(opened("openai.chat").before(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])))
    assert bytes(body["messages"]) == b'[{"role":"user","content":"hello"}]'


def test_no_guards_are_no_pipeline_and_unknown_ones_are_refused() -> None:
    assert GuardPipeline.compile((), {}) is None
    with pytest.raises(ConfigError, match="no guard 'redct'"):
        GuardPipeline.compile(("redct",), {"redact": GuardSettings(type="redact")})
    with pytest.raises(ConfigError, match="kind 'emial'"):
        opened("openai.chat", {"type": "redact", "options": {"kinds": ["emial"]}})
    with pytest.raises(ConfigError, match="no terms"):
        opened("openai.chat", {"type": "words", "options": {"terms": [" "]}})


def test_a_block_says_what_and_not_which() -> None:
    with pytest.raises(Refusal) as caught:
        before(
            "openai.chat",
            BODIES["openai.chat"],
            {"type": "redact", "options": {"action": "block", "kinds": ["personal"]}},
        )
    assert (caught.value.code, caught.value.status) == ("guard_blocked", 400)
    assert "email" in caught.value.message
    assert "joe" not in caught.value.message


class Odd:
    """A guard that does what its options say."""

    stages = frozenset({"before", "beside", "after", "stream"})
    window = 8

    def __init__(self, options: dict[str, Any]) -> None:
        self._way = options["way"]

    async def check(self, subject: Subject) -> Verdict:
        match self._way:
            case "raise":
                raise RuntimeError(f"secret {subject.texts}")
            case "hang":
                await asyncio.sleep(30)
            case "short":
                return Verdict(action="replace", texts=())
            case "upper":
                return Verdict(
                    action="replace", texts=tuple(text.upper() for text in subject.texts), findings={"Odd Kind": 1}
                )
            case _:
                return Verdict(action="block", reason="no", findings={f"kind{index}": 1 for index in range(50)})
        return Verdict()


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module.plugins, "load", lambda _group, _name: Odd)


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("way", ["raise", "hang", "short"])
@pytest.mark.parametrize("stage", ["before", "beside", "after", "stream"])
def test_a_guard_that_fails_closes_the_way_unless_it_is_told_to_let_pass(way: str, stage: str) -> None:
    async def run(on_error: str) -> GuardedCall:
        call = opened(
            "openai.chat",
            {"type": "odd", "stages": [stage], "on_error": on_error, "timeout": 0.01, "options": {"way": way}},
        )
        body = msgspec.json.decode(b'{"messages":[{"role":"user","content":"hi"}]}', type=dict[str, msgspec.Raw])
        assert await call.before(body) == body
        await call.beside(body)
        answer = b'{"choices":[{"message":{"content":"hi"}}]}'
        assert await call.after(answer) == answer
        stream = call.stream()
        if stream is not None:
            frame = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
            assert await stream.feed(frame) + await stream.finish() == frame
        return call

    with pytest.raises(Refusal) as caught:
        asyncio.run(run("refuse"))
    assert caught.value.code == "guard_failed"
    assert "secret" not in caught.value.message
    assert "error" in [outcome.action for outcome in asyncio.run(run("pass")).outcomes]


@pytest.mark.usefixtures("odd")
def test_guards_that_give_whole_texts_work_in_streams_and_labels_stay_few() -> None:
    async def run() -> tuple[bytes, GuardedCall]:
        call = opened("openai.chat", {"type": "odd", "options": {"way": "upper"}})
        stream = call.stream()
        assert stream is not None
        out = b""
        for piece in ("one ", "two ", "three ", "four ", "five "):
            out += await stream.feed(b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % piece.encode())
        return out + await stream.finish(), call

    data, _ = asyncio.run(run())
    words = [msgspec.json.decode(part[6:])["choices"][0]["delta"]["content"] for part in data.split(b"\n\n") if part]
    assert "".join(words) == "ONE TWO THREE FOUR FIVE "
    call = opened("openai.chat", {"type": "odd", "options": {"way": "block"}})
    with pytest.raises(Refusal):
        asyncio.run(call.after(b'{"choices":[{"message":{"content":"hi"}}]}'))
    assert len(call.outcomes[0].findings) == 33
    assert call.outcomes[0].findings["other"] == 18


def test_a_body_nested_too_deep_is_refused() -> None:
    raw = b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}"
    body = {"messages": msgspec.Raw(raw[12:-1])}
    with pytest.raises(Refusal, match="cannot be read"):
        asyncio.run(opened("openai.chat").before(body))


def test_a_long_request_is_looked_at_whole() -> None:
    found = before("openai.completions", {"prompt": "plain words " * 20_000 + SECRET})
    assert found["prompt"].endswith("plain words [EMAIL]")
