"""A guarded stream lets no planted secret out, however it is cut, and says what a whole answer would say."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pilothouse.gateway.guards.pipeline import GuardedCall, GuardPipeline
from pilothouse.gateway.guards.types import GuardContext
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import GuardSettings
from pilothouse.gateway.types import Tenant
from pilothouse.safety.detection import redact

KEY = "sk-proj-abc123DEF456ghi789JKL012mno345"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkw" * 20 + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n" * 12 + "-----END RSA PRIVATE KEY-----"
SECRETS = (
    "joe.bloggs@example.com",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    KEY,
    JWT,
    PEM,
    "+49 30 12345678",
)
FILLER = (
    "The weather is mild today and ",
    "so on, ",
    "in 2024 we sold 42 units; ",
    "mögen täten wir es schon, ",
    "文字がある。",
)


def opened(wire: str, *guards: dict[str, Any]) -> GuardedCall:
    named = {f"g{index}": msgspec.convert(guard, GuardSettings) for index, guard in enumerate(guards)}
    pipeline = GuardPipeline.compile(list(named), named)
    assert pipeline is not None
    return pipeline.open(GuardContext(wire=wire, tenant=Tenant(key="k"), route="r", call_id="c"))  # type: ignore[arg-type]


REDACT = {"type": "redact"}


def frame(value: Any, name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"


def chat(*deltas: dict[str, Any], end: str = "stop") -> list[bytes]:
    frames = [frame({"id": "1", "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    last = frame({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
    return [*frames, last, b"data: [DONE]\n\n"]


def passed(call: GuardedCall, frames: list[bytes]) -> list[bytes]:
    async def run() -> list[bytes]:
        stream = call.stream()
        assert stream is not None
        out = [await stream.feed(data) for data in frames]
        return [*out, await stream.finish()]

    return asyncio.run(run())


def events(data: bytes) -> list[Any]:
    return [msgspec.json.decode(part.split(b"data: ", 1)[1]) for part in data.split(b"\n\n") if b"data: {" in part]


def text_of(data: bytes) -> str:
    return "".join(choice["delta"].get("content") or "" for event in events(data) for choice in event["choices"])


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces, at, turn = [], 0, 0
    while at < len(text):
        pieces.append(text[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    return pieces


@given(
    parts=st.lists(st.sampled_from(SECRETS + FILLER), min_size=1, max_size=8),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
)
@examples(max_examples=120)
def test_a_stream_says_what_a_whole_answer_says_at_every_cut(parts: list[str], sizes: list[int]) -> None:
    text = " ; ".join(parts)
    call = opened("openai.chat", REDACT)
    data = b"".join(passed(call, chat(*({"content": piece} for piece in cut(text, sizes)))))
    wanted, counts = redact(text)
    assert text_of(data) == wanted
    assert call.outcomes[-1].findings == counts
    assert len(events(data)) == len(cut(text, sizes)) + 1


def test_a_stream_without_findings_passes_byte_by_byte_and_is_not_held_to_its_end() -> None:
    frames = chat(*({"content": f"word{index} "} for index in range(60)))
    frames[0] = frames[0].replace(b'"id":"1"', b'"id" :  1.50')
    out = passed(opened("openai.chat", REDACT), frames)
    assert b"".join(out) == b"".join(frames)
    assert sum(map(len, out[:60])) > sum(map(len, frames[:30]))


def test_keepalives_pass_at_once_and_others_in_order() -> None:
    frames = chat({"content": "short "})
    out = passed(opened("openai.chat", REDACT), [frames[0], b": ping\n\n", *frames[1:]])
    assert out[0] == b""
    assert out[1] == b": ping\n\n"
    assert b"".join(out[2:]) == b"".join(frames)


def test_arguments_of_a_tool_are_guarded_as_values_and_stay_json() -> None:
    document = '{"to":"jo\\u0065@example.com","card":4111111111111111,"n":1.50,"key":"' + KEY + '"}'
    deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in cut(document, [3])]
    data = b"".join(passed(opened("openai.chat", REDACT), chat({"content": "I call: "}, *deltas, end="tool_calls")))
    arguments = "".join(
        call["function"]["arguments"]
        for event in events(data)
        for choice in event["choices"]
        for call in choice["delta"].get("tool_calls", [])
    )
    assert msgspec.json.decode(arguments) == {"to": "[EMAIL]", "card": "[CARD]", "n": 1.5, "key": "[OPENAI_KEY]"}


def test_messages_and_responses_streams_are_guarded_with_what_repeats_the_text() -> None:
    pieces = cut(f"write to joe@example.com or use {KEY} today please", [4])
    messages = [frame({"type": "message_start", "message": {"id": "m"}}, "message_start")]
    for piece in pieces:
        delta = {"type": "text_delta", "text": piece}
        messages.append(frame({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"))
    messages.append(frame({"type": "content_block_stop", "index": 0}, "content_block_stop"))
    data = b"".join(passed(opened("anthropic.messages", REDACT), messages))
    text = "".join(event["delta"]["text"] for event in events(data) if "delta" in event)
    assert text == "write to [EMAIL] or use [OPENAI_KEY] today please"
    assert data.endswith(messages[-1])

    kind = "response.output_text.delta"
    responses = [frame({"type": kind, "output_index": 0, "content_index": 0, "delta": piece}, kind) for piece in pieces]
    whole = {"type": "output_text", "text": "".join(pieces)}
    responses += [
        frame({"type": "response.output_text.done", "text": "".join(pieces)}, "response.output_text.done"),
        frame({"type": "response.completed", "response": {"output": [{"content": [whole]}]}}, "response.completed"),
    ]
    data = b"".join(passed(opened("openai.responses", REDACT), responses))
    assert KEY.encode() not in data
    assert b"joe@" not in data
    assert data.count(b"or use [OPENAI_KEY] today") == 2


def test_reasoning_does_not_hold_up_the_answer_behind_it() -> None:
    deltas = [{"reasoning_content": "thinking "}] * 5 + [{"content": f"word{index} "} for index in range(200)]
    out = passed(opened("openai.chat", REDACT), chat(*deltas))
    assert sum(map(len, out[:150])) > 0


def test_a_block_inside_a_stream_comes_before_the_secret() -> None:
    call = opened("openai.chat", {"type": "redact", "options": {"action": "block"}})
    seen = bytearray()

    async def run() -> None:
        stream = call.stream()
        assert stream is not None
        for data in chat(*({"content": piece} for piece in cut("word " * 40 + KEY + " more" * 40, [5]))):
            seen.extend(await stream.feed(data))

    with pytest.raises(Refusal) as caught:
        asyncio.run(run())
    assert caught.value.code == "guard_blocked"
    assert KEY not in caught.value.message
    assert b"sk-" not in seen
    assert [outcome.action for outcome in call.outcomes if outcome.action == "block"] == ["block"]


def test_a_word_is_no_match_while_it_may_still_grow() -> None:
    guard = {"type": "words", "options": {"terms": ["cat"]}}
    data = b"".join(
        passed(opened("openai.chat", guard), chat({"content": "a cat"}, {"content": "egory, " + "x " * 99}))
    )
    assert text_of(data).startswith("a category, ")


def test_what_is_no_json_is_not_let_through() -> None:
    with pytest.raises(Refusal, match="no JSON"):
        passed(opened("openai.chat", REDACT), [b"data: {broken\n\n"])


def test_frames_cut_anywhere_are_put_together() -> None:
    whole = b"".join(chat({"content": "mail joe@example.com now"}))
    data = b"".join(passed(opened("openai.chat", REDACT), [whole[at : at + 7] for at in range(0, len(whole), 7)]))
    assert text_of(data) == "mail [EMAIL] now"


def test_log_probabilities_do_not_repeat_what_was_taken_out() -> None:
    value = {
        "choices": [
            {
                "index": 0,
                "delta": {"content": "joe@example.com "},
                "logprobs": {"content": [{"token": "joe@example.com"}]},
            }
        ]
    }
    data = b"".join(passed(opened("openai.chat", REDACT), [frame(value), b"data: [DONE]\n\n"]))
    assert b"joe" not in data


def test_two_guards_see_each_others_work() -> None:
    words = {"type": "words", "options": {"terms": ["[EMAIL]", "falcon"], "action": "replace", "text": "***"}}
    data = b"".join(
        passed(
            opened("openai.chat", REDACT, words),
            chat(*({"content": piece} for piece in cut("falcon joe@example.com x", [2]))),
        )
    )
    assert text_of(data) == "*** *** x"


def test_the_end_of_one_choice_does_not_let_go_of_another() -> None:
    def piece(index: int, text: str, end: str | None = None) -> bytes:
        return frame({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": end}]})

    frames = [
        piece(1, "sk-proj-abc"),
        piece(0, "done", "stop"),
        piece(1, "123DEF456ghi789JKL012mno345"),
        piece(1, "", "stop"),
    ]
    data = b"".join(passed(opened("openai.chat", REDACT), frames))
    assert b"sk-proj" not in data
    assert b"[OPENAI_KEY]" in data
