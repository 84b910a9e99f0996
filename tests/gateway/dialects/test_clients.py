"""What the forms write, read by the vendors' own clients."""

import anthropic
import httpx2
import openai
import pytest

from pilothouse.gateway.dialects.codecs import codec

from .goldens import RICH, golden, read_stream, write_stream


def client_of(kind, body, content_type):
    response = httpx2.Response(200, content=body, headers={"content-type": content_type})
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: response))
    return kind(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http)


@pytest.mark.parametrize("source", RICH)
def test_openais_client_reads_a_translated_stream_of_chat(source):
    data = write_stream("openai.chat", read_stream(source, golden(source, "stream.sse"))[0])
    client = client_of(openai.OpenAI, data, "text/event-stream")
    with client.chat.completions.stream(model="m", messages=[]) as stream:
        done = stream.get_final_completion()
    message = done.choices[0].message
    assert message.content == "Both, Grüße"
    assert [call.function.arguments for call in message.tool_calls] == ['{"city":"Ulm"}', '{"city":"Bonn"}']
    assert done.usage.prompt_tokens_details.cached_tokens == 60


@pytest.mark.parametrize("source", RICH)
def test_openais_client_reads_a_translated_stream_of_responses(source):
    data = write_stream("openai.responses", read_stream(source, golden(source, "stream.sse"))[0])
    client = client_of(openai.OpenAI, data, "text/event-stream")
    with client.responses.stream(model="m", input="x") as stream:
        done = stream.get_final_response()
    assert done.output_text == "Both, Grüße"
    assert [item.arguments for item in done.output if item.type == "function_call"] == [
        '{"city":"Ulm"}',
        '{"city":"Bonn"}',
    ]
    assert (done.status, done.usage.output_tokens_details.reasoning_tokens) == ("completed", 15)


@pytest.mark.parametrize("source", RICH)
def test_anthropics_client_reads_a_translated_stream(source):
    data = write_stream("anthropic.messages", read_stream(source, golden(source, "stream.sse"))[0])
    client = client_of(anthropic.Anthropic, data, "text/event-stream")
    messages = [{"role": "user", "content": "x"}]
    with client.messages.stream(model="m", max_tokens=9, messages=messages) as stream:
        done = stream.get_final_message()
    assert [block.type for block in done.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert done.content[2].input == {"city": "Ulm"}
    assert (done.stop_reason, done.usage.input_tokens, done.usage.cache_read_input_tokens) == ("tool_use", 30, 60)


@pytest.mark.parametrize("source", RICH)
def test_the_clients_read_whole_translated_answers(source):
    answer = codec(source).decode_response(golden(source, "answer.json"))
    chat = client_of(openai.OpenAI, codec("openai.chat").encode_response(answer), "application/json")
    assert chat.chat.completions.create(model="m", messages=[]).choices[0].finish_reason == "tool_calls"
    responses = client_of(openai.OpenAI, codec("openai.responses").encode_response(answer), "application/json")
    assert responses.responses.create(model="m", input="x").output_text == "Both, Grüße"
    said = client_of(anthropic.Anthropic, codec("anthropic.messages").encode_response(answer), "application/json")
    done = said.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert (done.stop_reason, done.usage.cache_creation_input_tokens) == ("tool_use", 10)
