"""How the gateway says no: the vendors' own clients must raise their own exceptions, with our stable code in sight."""

import anthropic
import httpx2
import msgspec
import openai
import pytest

from pilothouse.gateway.dialects.errors import error_body, error_event
from pilothouse.gateway.refusals import STATUSES, Refusal

from .goldens import golden

DIALECTS = ("openai", "anthropic", "gemini", "bedrock", "cohere")


def openai_client(answer):
    transport = httpx2.MockTransport(lambda request: answer)
    return openai.OpenAI(
        api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def anthropic_client(answer):
    transport = httpx2.MockTransport(lambda request: answer)
    return anthropic.Anthropic(
        api_key="k", base_url="http://gateway", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def answer(status, body, kind="application/json"):
    return httpx2.Response(status, content=body, headers={"content-type": kind})


@pytest.mark.parametrize("code", STATUSES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_code_is_in_sight_in_every_dialect(code, dialect):
    body = error_body(dialect, Refusal(code, 'why "so"', param="n"), "call-1")
    assert code in body.decode()
    assert "call-1" in body.decode()
    assert 'why \\"so\\"' in body.decode()
    msgspec.json.decode(body)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("invalid_request", openai.BadRequestError),
        ("invalid_api_key", openai.AuthenticationError),
        ("model_not_allowed", openai.PermissionDeniedError),
        ("model_not_found", openai.NotFoundError),
        ("budget_exceeded", openai.RateLimitError),
        ("no_deployment", openai.InternalServerError),
    ],
)
def test_openais_client_raises_its_own(code, raised):
    refusal = Refusal(code, "no", param="messages")
    client = openai_client(answer(refusal.status, error_body("openai", refusal, "c")))
    with pytest.raises(raised) as caught:
        client.chat.completions.create(model="m", messages=[])
    assert (caught.value.code, caught.value.param) == (code, "messages")


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("invalid_request", anthropic.BadRequestError),
        ("invalid_api_key", anthropic.AuthenticationError),
        ("model_not_allowed", anthropic.PermissionDeniedError),
        ("model_not_found", anthropic.NotFoundError),
        ("rate_limit_exceeded", anthropic.RateLimitError),
        ("internal_error", anthropic.InternalServerError),
    ],
)
def test_anthropics_client_raises_its_own(code, raised):
    refusal = Refusal(code, "no")
    client = anthropic_client(answer(refusal.status, error_body("anthropic", refusal, "c")))
    with pytest.raises(raised) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert caught.value.body["error"]["code"] == code


def first_events(wire, count):
    return b"".join(event + b"\n\n" for event in golden(wire, "stream.sse").split(b"\n\n")[:count])


def test_an_error_inside_a_stream_of_chat_is_raised():
    data = first_events("openai.chat", 4) + error_event("openai.chat", Refusal("upstream_cut", "cut"), "c")
    client = openai_client(answer(200, data, "text/event-stream"))
    stream = client.chat.completions.create(model="m", messages=[], stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert (caught.value.code, caught.value.message) == ("upstream_cut", "cut")


def test_an_error_inside_a_stream_of_responses_is_raised():
    data = first_events("openai.responses", 3) + error_event("openai.responses", Refusal("upstream_cut", "cut"), "c")
    client = openai_client(answer(200, data, "text/event-stream"))
    stream = client.responses.create(model="m", input="x", stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_cut"


def test_an_error_inside_a_stream_of_messages_is_raised():
    event = error_event("anthropic.messages", Refusal("budget_exceeded", "spent"), "c")
    client = anthropic_client(answer(200, first_events("anthropic.messages", 4) + event, "text/event-stream"))
    messages = [{"role": "user", "content": "x"}]
    stream = client.messages.create(model="m", max_tokens=1, messages=messages, stream=True)
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(stream)
    assert caught.value.body["error"] == {"type": "rate_limit_error", "message": "spent", "code": "budget_exceeded"}
