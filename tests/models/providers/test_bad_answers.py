"""Everything a provider can answer instead of an answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.providers.openai import build
from pilothouse.models.secret import Secret
from pilothouse.models.settings import ModelSettings, Timeouts
from pilothouse.models.types import ChatRequest, Connection


def failure(serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, **options: Any) -> ModelError:
    async def call() -> None:
        async with serve(upstream):
            client = open_ai(upstream.url, **options)
            try:
                await client.chat(question)
            finally:
                await client.aclose()

    with pytest.raises(ModelError) as caught:
        asyncio.run(call())
    return caught.value


def failure_of_bytes(send_bytes: Any, open_ai: Any, question: ChatRequest, answer: bytes) -> ModelError:
    async def call() -> None:
        async with send_bytes(answer) as url:
            client = open_ai(url)
            try:
                await client.chat(question)
            finally:
                await client.aclose()

    with pytest.raises(ModelError) as caught:
        asyncio.run(call())
    return caught.value


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, True),
        (422, False),
        (429, True),
        (500, True),
        (501, False),
        (502, True),
        (503, True),
        (529, True),
    ],
)
def test_the_status_tells_whether_to_try_again(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, status: int, retryable: bool
) -> None:
    upstream.json({"error": {"message": "because", "type": "t", "code": None}}, status, {"x-request-id": "req-7"})
    error = failure(serve, upstream, open_ai, question)
    assert (error.status, error.retryable) == (status, retryable)
    assert error.message == f"HTTP {status}: because (request req-7)"
    assert error.where == "connection 'mine'"


def test_a_spent_quota_is_not_tried_again(serve: Any, upstream: Any, open_ai: Any, question: ChatRequest) -> None:
    upstream.json({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, 429)
    assert not failure(serve, upstream, open_ai, question).retryable


@pytest.mark.parametrize(("hint", "status", "retryable"), [("true", 400, True), ("false", 503, False)])
def test_the_provider_may_say_itself_whether_to_try_again(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, hint: str, status: int, retryable: bool
) -> None:
    upstream.json({"error": "x"}, status, {"x-should-retry": hint})
    assert failure(serve, upstream, open_ai, question).retryable is retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_in_seconds(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, headers: dict[str, str], seconds: float | None
) -> None:
    upstream.json({}, 429, headers)
    assert failure(serve, upstream, open_ai, question).retry_after == seconds


@pytest.mark.parametrize(("offset", "seconds"), [(90, 90.0), (-90, 0.0)])
def test_the_wait_is_read_as_a_date(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, clock: FixedClock, offset: int, seconds: float
) -> None:
    moment = clock.now() + timedelta(seconds=offset)
    upstream.json({}, 429, {"retry-after": format_datetime(moment, usegmt=True)})
    assert failure(serve, upstream, open_ai, question, clock=clock).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "in the usual place"}}', "in the usual place"),
        ('{"error": "a text"}', "a text"),
        ('{"message": "at the top"}', "at the top"),
        ('{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        ('[{"error": {"message": "in a list"}}]', "in a list"),
        ("<html><head><title>502 Bad\nGateway</title></head></html>", "a web page, not an answer: 502 Bad Gateway"),
        ("upstream connect error", "upstream connect error"),
        ('{"error": {"mess', '{"error": {"mess'),
        ("", "no reason given"),
        ("null", "no reason given"),
    ],
)
def test_the_reason_is_found_in_any_kind_of_body(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, body: str, words: str
) -> None:
    upstream.text(body, 502)
    error = failure(serve, upstream, open_ai, question)
    assert words in error.message
    assert error.status == 502


def test_a_long_or_hostile_body_is_cut_to_one_harmless_line(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.text("\x1b[2J\nline two " + "x" * 200_000, 500, "text/plain")
    message = failure(serve, upstream, open_ai, question).message
    assert len(message) < 500
    assert message.isprintable()
    assert "line two" in message


def test_a_key_that_the_provider_echoes_is_not_shown(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, key: str
) -> None:
    upstream.json({"error": {"message": f"Incorrect API key provided: {key}. See {key}"}}, 401, {"x-request-id": key})
    error = failure(serve, upstream, open_ai, question)
    assert key not in str(error)
    assert "Incorrect API key provided: ***" in error.message
    assert "check the key" in str(error)


@pytest.mark.parametrize(
    ("body", "torn"),
    [
        ("", True),
        ('{"choices": [{"message": {"conte', True),
        ("<html><title>Login</title></html>", True),
        ('{"choices": "none"}', False),
        ('{"choices": []}', False),
        ("{}", False),
        ('{"choices": [{"message": {"content": 5}}]}', False),
    ],
)
def test_a_success_that_is_no_answer_is_an_error(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, body: str, torn: bool
) -> None:
    upstream.text(body, 200, "application/json")
    assert failure(serve, upstream, open_ai, question).retryable is torn


def test_an_error_behind_a_good_status_is_an_error(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.json({"error": {"message": "no credits", "code": 402}})
    error = failure(serve, upstream, open_ai, question)
    assert (error.status, error.retryable) == (402, False)


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"choices": []',
        b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{"choices": []}',
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"cho\r\n',
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"",
    ],
)
def test_an_answer_of_the_wrong_length_or_no_http_is_worth_another_try(
    send_bytes: Any, open_ai: Any, question: ChatRequest, answer: bytes
) -> None:
    assert failure_of_bytes(send_bytes, open_ai, question, answer).retryable


def test_a_refusal_whose_body_breaks_off_keeps_its_status(send_bytes: Any, open_ai: Any, question: ChatRequest) -> None:
    answer = b'HTTP/1.1 503 Busy\r\ncontent-length: 500\r\nretry-after: 3\r\n\r\n{"error"'
    error = failure_of_bytes(send_bytes, open_ai, question, answer)
    assert (error.status, error.retryable, error.retry_after) == (503, True, 3.0)


def test_a_redirect_is_not_followed_with_the_key(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.json({}, 307, {"location": "http://127.0.0.1:9/elsewhere"})
    assert failure(serve, upstream, open_ai, question).status == 307
    assert len(upstream.seen) == 1


def test_a_slow_first_byte_runs_into_its_timeout(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.hang()
    settings = ModelSettings(timeouts=Timeouts(first_byte=0.05))
    error = failure(serve, upstream, open_ai, question, settings=settings)
    assert "did not answer in time" in error.message
    assert error.retryable


def test_nobody_listening_is_worth_another_try(open_ai: Any, question: ChatRequest) -> None:
    with pytest.raises(ModelError, match="the connection failed") as caught:
        asyncio.run(open_ai("http://127.0.0.1:1").chat(question))
    assert caught.value.retryable
    assert "at http://127.0.0.1:1/v1/chat/completions" in caught.value.message
    assert "server runs" in (caught.value.fix or "")


@pytest.mark.parametrize("base", ["not an address", "ftp://host/v1", "http://[bad"])
def test_an_address_that_is_none_is_the_users_mistake(context: Any, question: ChatRequest, base: str) -> None:
    client = build(Connection(name="x", type="open_ai", configs={"base_url": base}), context())
    with pytest.raises(ConnectionFault, match="address"):
        asyncio.run(client.chat(question))


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(context: Any, question: ChatRequest) -> None:
    secret = "sk-line\nbreak-0123"
    connection = Connection(
        name="x", type="open_ai", configs={"base_url": "http://127.0.0.1:1"}, secrets={"api_key": Secret(secret)}
    )
    with pytest.raises(ConnectionFault) as caught:
        asyncio.run(build(connection, context()).chat(question))
    assert "break-0123" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_in_an_address_are_not_shown(context: Any, question: ChatRequest) -> None:
    connection = Connection(name="x", type="open_ai", configs={"base_url": "ftp://ann:pass-word-1@host/v1"})
    with pytest.raises(ConnectionFault) as caught:
        asyncio.run(build(connection, context()).chat(question))
    assert "pass-word-1" not in str(caught.value)


def test_a_call_that_is_given_up_lets_go_of_the_connection(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, answer: Any
) -> None:
    upstream.hang().json(answer)

    async def call() -> str:
        async with serve(upstream):
            client = open_ai(upstream.url)
            task = asyncio.create_task(client.chat(question))
            while not upstream.seen:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            text = (await client.chat(question)).text
            await client.aclose()
            return text

    assert asyncio.run(call()) == "Yes."


def test_a_closed_client_opens_again(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, answer: Any
) -> None:
    upstream.json(answer)

    async def call() -> None:
        async with serve(upstream):
            client = open_ai(upstream.url)
            await client.chat(question)
            await client.aclose()
            await client.aclose()
            assert (await client.chat(question)).text == "Yes."
            await client.aclose()

    asyncio.run(call())
