"""What the vendors' error answers mean, in their documented forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.clock import FixedClock
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.models.secret import Secret

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
KEY = "sk-very-secret-key"


@pytest.fixture
def reader() -> Refusals:
    return Refusals([Secret(KEY)], FixedClock(NOW))


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def anthropic(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def google(code: int, status: str, message: str, *details: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}}).encode()


CASES = [
    # OpenAI
    (429, {}, openai("Rate limit reached for gpt-x", "rate_limit_exceeded", "tokens"), "rate_limit", True),
    (429, {}, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "auth", False),
    (400, {}, openai("Too long", "context_length_exceeded"), "context_length", False),
    (400, {}, openai("Your input exceeds the context window of this model."), "context_length", False),
    (400, {}, openai("Rejected by our safety system", "moderation_blocked"), "content_filter", False),
    (401, {}, openai("Incorrect API key provided", "invalid_api_key"), "auth", False),
    (404, {}, openai("The model `x` does not exist", "model_not_found"), "server", False),
    (404, {}, openai("No such File object: file-1"), "request", False),
    (400, {}, openai("Invalid value for 'temperature'"), "request", False),
    (422, {}, b'{"detail":[{"msg":"field required"}]}', "request", False),
    (500, {}, openai("The server had an error", None, "server_error"), "server", True),
    (503, {}, b"upstream connect error", "server", True),
    (504, {}, b"", "timeout", True),
    (501, {}, b"", "server", False),
    # Azure
    (
        400,
        {},
        b'{"error":{"code":"content_filter","message":"filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}',
        "content_filter",
        False,
    ),
    (
        404,
        {},
        b'{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}',
        "server",
        False,
    ),
    (429, {}, b'{"error":{"code":"429","message":"Please retry after 8 seconds."}}', "rate_limit", True),
    (401, {}, b'{"statusCode":401,"message":"Unauthorized. Access token is missing"}', "auth", False),
    # Anthropic
    (529, {}, anthropic("overloaded_error", "Overloaded"), "server", True),
    (429, {}, anthropic("rate_limit_error", "This request would exceed your rate limit"), "rate_limit", True),
    (400, {}, anthropic("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "context_length", False),
    (400, {}, anthropic("invalid_request_error", "Your credit balance is too low"), "auth", False),
    (
        400,
        {},
        anthropic("invalid_request_error", "Output blocked by content filtering policy"),
        "content_filter",
        False,
    ),
    (404, {}, anthropic("not_found_error", "model: claude-9"), "server", False),
    (413, {}, anthropic("request_too_large", "Request exceeds the maximum size"), "context_length", False),
    (403, {}, anthropic("permission_error", "not allowed"), "auth", False),
    # Google
    (429, {}, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"), "rate_limit", True),
    (503, {}, google(503, "UNAVAILABLE", "The model is overloaded."), "server", True),
    (
        400,
        {},
        google(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}),
        "auth",
        False,
    ),
    (
        400,
        {},
        google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        "context_length",
        False,
    ),
    (404, {}, google(404, "NOT_FOUND", "models/g is not found for API version v1beta"), "server", False),
    (400, {}, b"[" + google(400, "INVALID_ARGUMENT", "bad") + b"]", "request", False),
    # Amazon
    (429, {"x-amzn-errortype": "ThrottlingException:http://x"}, b'{"message":"Too many"}', "rate_limit", True),
    (400, {"x-amzn-errortype": "ValidationException"}, b'{"message":"Input is too long"}', "context_length", False),
    (
        400,
        {"x-amzn-errortype": "ValidationException"},
        b'{"message":"The provided model identifier is invalid."}',
        "server",
        False,
    ),
    (403, {"x-amzn-errortype": "AccessDeniedException"}, b'{"Message":"no"}', "auth", False),
    (403, {}, b'{"__type":"com.amazon#ExpiredTokenException","message":"expired"}', "auth", True),
    (408, {"x-amzn-errortype": "ModelTimeoutException"}, b"{}", "timeout", True),
    (424, {"x-amzn-errortype": "ModelErrorException"}, b"{}", "server", True),
    # Cohere, Mistral, Ollama, OpenRouter
    (400, {}, b'{"id":"1","message":"too many tokens: 9"}', "context_length", False),
    (401, {}, b'{"message":"invalid api token"}', "auth", False),
    (404, {}, b'{"error":"model \\"x\\" not found, try pulling it first"}', "server", False),
    (402, {}, openai("Insufficient credits", None), "auth", False),
    # Behind a status that says otherwise, and pages
    (200, {}, b'{"error":{"code":429,"message":"busy"}}', "rate_limit", True),
    (200, {}, anthropic("overloaded_error", "Overloaded"), "server", True),
    (200, {}, b'{"error":"something"}', "server", True),
    (200, {}, b"<html><head><title>Sign in</title></head></html>", "malformed", True),
    (502, {}, b"<html><title>502 Bad Gateway</title>", "server", True),
    (404, {}, b"<html><title>Not found</title>", "server", False),
    (302, {"location": "http://elsewhere"}, b"", "server", False),
    (429, {}, b"", "rate_limit", True),
]


@pytest.mark.parametrize(("status", "headers", "body", "failure", "retryable"), CASES)
def test_an_error_answer_is_understood(
    reader: Refusals, status: int, headers: dict[str, str], body: bytes, failure: str, retryable: bool
) -> None:
    refused = reader.read(status, headers, body)

    assert (refused.failure, refused.retryable) == (failure, retryable)
    assert refused.message


LATER = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}

WAITS = [
    ({"retry-after": "7"}, b"", 7.0),
    ({"retry-after": "0.5"}, b"", 0.5),
    ({"retry-after": "250ms"}, b"", 0.25),
    ({"retry-after": "3s"}, b"", 3.0),
    ({"retry-after-ms": "1500", "retry-after": "9"}, b"", 1.5),
    ({"retry-after": LATER}, b"", 90.0),
    ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, b"", 0.0),
    ({"retry-after": "999999999999999999"}, b"", 86_400.0),
    ({"retry-after": "-5"}, b"", None),
    ({"retry-after": "soon"}, b"", None),
    ({"retry-after": "1e999"}, b"", None),
    ({}, google(429, "RESOURCE_EXHAUSTED", "x", RETRY_INFO), 34.5),
    ({}, openai("Please try again in 20ms.", "rate_limit_exceeded"), 0.02),
    ({}, openai("Please try again in 1.2s. Visit", "rate_limit_exceeded"), 1.2),
    ({}, b'{"error":{"message":"Please retry after 8 seconds."}}', 8.0),
    ({}, b"", None),
]


@pytest.mark.parametrize(("headers", "body", "seconds"), WAITS)
def test_how_long_to_wait_is_read_in_every_form(
    reader: Refusals, headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert reader.read(429, headers, body).retry_after == seconds


def test_a_request_that_is_wrong_asks_for_no_wait(reader: Refusals) -> None:
    assert reader.read(400, {"retry-after": "7"}, openai("bad")).retry_after is None


def test_openai_may_say_itself_whether_to_ask_again(reader: Refusals) -> None:
    assert reader.read(500, {"x-should-retry": "false"}, b"").retryable is False
    assert reader.read(400, {"x-should-retry": "true"}, b"").retryable is True
    assert reader.read(401, {"x-should-retry": "true"}, b"").retryable is False


def test_the_message_is_short_on_one_line_and_without_the_key(reader: Refusals) -> None:
    body = openai(f"Incorrect API key provided: {KEY}\nsee https://user:{KEY}@host/x " + "long " * 1000)

    message = reader.read(401, {}, body).message

    assert KEY not in message
    assert "\n" not in message
    assert len(message) <= 410
    assert message.startswith("Incorrect API key provided: ***")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(100, 599),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["retry-after", "x-amzn-errortype"]), st.text(max_size=20)),
)
def test_no_answer_breaks_the_reader(status: int, body: bytes, headers: dict[str, str]) -> None:
    refused = Refusals([Secret(KEY)], FixedClock(NOW)).read(status, headers, body)

    assert refused.message
    assert refused.retry_after is None or 0 <= refused.retry_after <= 86_400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "details", "status", "innererror", "reason", "retryDelay"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.integers(200, 599), JSON)
def test_no_json_of_odd_kinds_breaks_the_reader(status: int, value: object) -> None:
    assert Refusals([], FixedClock(NOW)).read(status, {}, json.dumps(value).encode()).message


def test_a_body_nested_beyond_reason_is_read_as_none(reader: Refusals) -> None:
    assert reader.read(400, {}, b'{"error":' * 30_000).failure == "request"
