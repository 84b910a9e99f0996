"""Every form in, every form out: requests, whole answers, streams."""

import msgspec
import pytest

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.models.types import Usage

from .goldens import RICH, golden, of_answer, of_chunks, read_stream, write_stream

USAGE = Usage(input_tokens=100, output_tokens=40, cached_input_tokens=60, cache_write_tokens=10, reasoning_tokens=15)
CALLS = (("call_1", "weather", {"city": "Ulm"}), ("call_2", "weather", {"city": "Bonn"}))


def meaning(request):
    """Return what every form can say of a request, in one shape."""
    messages = []
    for message in request.messages:
        parts = message.content
        if not isinstance(parts, str):
            parts = tuple(msgspec.structs.replace(part, cache=None) for part in parts)
        messages.append((message.role, parts, message.tool_calls, message.tool_call_id))
    shape = request.response_format["json_schema"]["schema"]
    return {
        "messages": [(role, part, _calls(calls), call) for role, part, calls, call in messages],
        "tools": request.tools,
        "choice": (request.tool_choice, request.parallel_tool_calls),
        "sampling": (request.temperature, request.top_p, request.max_tokens, request.user),
        "effort": request.reasoning.effort,
        "schema": shape,
    }


def _calls(calls):
    return [(call.id, call.name, msgspec.json.decode(call.arguments)) for call in calls]


@pytest.mark.parametrize("source", RICH)
@pytest.mark.parametrize("target", RICH)
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_says_the_same_in_every_form(source, target, stream):
    request = codec(source).decode_request(golden(source, "request.json"))
    said = codec(target).encode_request(request, model="there", stream=stream)
    body = msgspec.json.decode(said)
    assert body["model"] == "there"
    assert body.get("stream", False) is stream
    assert meaning(codec(target).decode_request(said)) == meaning(request)


@pytest.mark.parametrize("source", RICH)
def test_the_conversations_of_the_corpus_are_one(source):
    first = codec(RICH[0]).decode_request(golden(RICH[0], "request.json"))
    assert meaning(codec(source).decode_request(golden(source, "request.json"))) == meaning(first)


@pytest.mark.parametrize("source", RICH)
@pytest.mark.parametrize("target", RICH)
def test_an_answer_says_the_same_in_every_form(source, target):
    answer = codec(source).decode_response(golden(source, "answer.json"))
    told = of_answer(answer)
    assert (told.text, told.reasoning, told.calls) == ("Both, Grüße", "Two towns.", CALLS)
    assert (told.finish_reason, told.usage) == ("tool_calls", USAGE)
    body = codec(target).encode_response(answer)
    assert of_answer(codec(target).decode_response(body)) == told
    assert codec(target).usage(body) == (USAGE, answer.model)


@pytest.mark.parametrize("source", RICH)
@pytest.mark.parametrize("target", RICH)
def test_a_stream_says_the_same_in_every_form(source, target):
    chunks, whole = read_stream(source, golden(source, "stream.sse"))
    told = of_chunks(chunks)
    assert whole
    assert (told.text, told.reasoning, told.calls) == ("Both, Grüße", "Two towns.", CALLS)
    assert (told.finish_reason, told.usage) == ("tool_calls", USAGE)
    data = write_stream(target, chunks)
    again, whole = read_stream(target, data)
    assert whole
    assert of_chunks(again) == told
    meter = codec(target).meter(hide_usage=False)
    assert meter.feed(data) == data
    assert (meter.usage, meter.is_finished, meter.in_tool_call, meter.error) == (USAGE, True, False, "")


@pytest.mark.parametrize("wire", [*RICH, "openai.completions"])
def test_a_stream_cut_anywhere_gives_the_same_pieces(wire):
    data = golden(wire, "stream.sse")
    chunks, _ = read_stream(wire, data)
    for place in range(1, len(data)):
        reader = codec(wire).reader()
        assert reader.feed(data[:place]) + reader.feed(data[place:]) == chunks
    assert read_stream(wire, data, 1) == (chunks, True)


@pytest.mark.parametrize("wire", [*RICH, "openai.completions"])
def test_a_stream_that_breaks_off_is_not_whole(wire):
    events = golden(wire, "stream.sse").split(b"\n\n")
    chunks, whole = read_stream(wire, events[0] + b"\n\n")
    assert not whole
    assert of_chunks(chunks).finish_reason is None


@pytest.mark.parametrize("target", [*RICH, "openai.completions"])
def test_a_text_to_be_continued_is_said_in_every_form(target):
    request = codec("openai.completions").decode_request(golden("openai.completions", "request.json"))
    if target == "openai.responses":
        with pytest.raises(ValueError, match="stop"):
            codec(target).encode_request(request, model="m", stream=False)
        return
    again = codec(target).decode_request(codec(target).encode_request(request, model="m", stream=False))
    assert again.messages == request.messages
    assert (again.max_tokens, again.temperature) == (30, 0.4)


@pytest.mark.parametrize("target", [*RICH, "openai.completions"])
def test_a_continued_text_is_said_in_every_form(target):
    answer = codec("openai.completions").decode_response(golden("openai.completions", "answer.json"))
    body = codec(target).encode_response(answer)
    assert of_answer(codec(target).decode_response(body)) == of_answer(answer)
    chunks, _ = read_stream("openai.completions", golden("openai.completions", "stream.sse"))
    again, whole = read_stream(target, write_stream(target, chunks))
    assert whole
    assert of_chunks(again) == of_chunks(chunks) == of_answer(answer)


@pytest.mark.parametrize("source", RICH)
@pytest.mark.parametrize("target", ["gemini.generate", "bedrock.converse", "cohere.chat"])
def test_a_plain_conversation_is_said_to_every_upstream(source, target):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Grüße"}]}
    if source == "openai.responses":
        body = {"model": "m", "max_output_tokens": 9, "input": "Grüße"}
    request = codec(source).decode_request(msgspec.json.encode(body))
    assert "Grüße" in codec(target).encode_request(request, model="there", stream=True).decode()
