from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.core.errors import ModelError, UserError
from pilothouse.models.settings import Retries
from pilothouse.models.types import ChatRequest, CompletionRequest, EmbeddingRequest
from pilothouse.models.wrappers.retrying import RetryingClient


def refused(status: int = 503, retry_after: float | None = None, *, retryable: bool = True) -> ModelError:
    return ModelError("no", status=status, retryable=retryable, retry_after=retry_after)


class Waits:
    """Remembers waits in place of waiting."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def retrying(client: Any, waits: Waits, draw: float = 1.0, **settings: Any) -> RetryingClient:
    return RetryingClient(client, Retries(**settings), sleep=waits, draw=lambda: draw)


def test_a_passing_fault_is_not_seen(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(refused(), refused(429)), Waits()
    assert asyncio.run(retrying(client, waits).chat(question)).text == "yes"
    assert client.calls == 3


def test_waits_double_up_to_the_longest_and_are_drawn_below_it(inner: Any, question: ChatRequest) -> None:
    waits = Waits()
    client = inner(*[refused()] * 5)
    asyncio.run(retrying(client, waits, draw=0.5, base=1.0, longest=6.0).chat(question))
    assert waits.taken == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_what_the_provider_asked_for_is_kept_and_jitter_goes_on_top(inner: Any, question: ChatRequest) -> None:
    waits = Waits()
    asyncio.run(retrying(inner(refused(429, 7.0)), waits, draw=0.5, base=1.0).chat(question))
    assert waits.taken == [7.5]


def test_attempts_come_to_an_end_with_the_last_error(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(*[refused(500)] * 2, refused(502)), Waits()
    with pytest.raises(ModelError) as caught:
        asyncio.run(retrying(client, waits, attempts=3).chat(question))
    assert (client.calls, caught.value.status) == (3, 502)


def test_one_attempt_means_no_retry(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(refused()), Waits()
    with pytest.raises(ModelError):
        asyncio.run(retrying(client, waits, attempts=1).chat(question))
    assert (client.calls, waits.taken) == (1, [])


def test_a_wait_beyond_the_budget_is_not_begun(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(refused(429, 4.0), refused(429, 4.0), refused(429, 4.0)), Waits()
    with pytest.raises(ModelError):
        asyncio.run(retrying(client, waits, draw=0.0, budget=10.0).chat(question))
    assert waits.taken == [4.0, 4.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_change_is_not_repeated(inner: Any, question: ChatRequest, status: int) -> None:
    client, waits = inner(refused(status, retryable=False)), Waits()
    with pytest.raises(ModelError):
        asyncio.run(retrying(client, waits).chat(question))
    assert client.calls == 1


def test_other_errors_pass_through(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(UserError("wrong")), Waits()
    with pytest.raises(UserError):
        asyncio.run(retrying(client, waits).chat(question))
    assert client.calls == 1


def test_completions_and_vectors_are_repeated_too(inner: Any) -> None:
    client, waits = inner(refused(), None, refused()), Waits()
    wrapped = retrying(client, waits)

    async def both() -> None:
        await wrapped.complete(CompletionRequest(prompt="a"))
        await wrapped.embed(EmbeddingRequest(inputs=("a",)))
        await wrapped.aclose()

    asyncio.run(both())
    assert (client.calls, client.closed) == (4, True)


def test_a_stream_is_begun_again_before_its_first_piece(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(refused(), refused()), Waits()

    async def read() -> str:
        return "".join([chunk.text async for chunk in retrying(client, waits).stream(question)])

    assert asyncio.run(read()) == "abc"
    assert client.calls == 3


def test_a_stream_is_not_begun_again_after_its_first_piece(inner: Any, question: ChatRequest) -> None:
    client, waits = inner(), Waits()
    client.break_after = 1
    seen: list[str] = []

    async def read() -> None:
        seen.extend([chunk.text async for chunk in retrying(client, waits).stream(question)])

    with pytest.raises(ModelError, match="cut"):
        asyncio.run(read())
    assert (client.calls, waits.taken) == (1, [])


def test_leaving_a_stream_closes_the_one_below(inner: Any, question: ChatRequest) -> None:
    client = inner()

    async def read() -> None:
        stream = retrying(client, Waits()).stream(question)
        await anext(stream)
        await stream.aclose()
        assert client.stream_closed

    asyncio.run(read())


def test_a_call_can_be_given_up_while_it_waits(inner: Any, question: ChatRequest) -> None:
    client = inner(*[refused()] * 5)

    async def give_up() -> None:
        started = asyncio.Event()

        async def wait_for_ever(_: float) -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(RetryingClient(client, Retries(), sleep=wait_for_ever).chat(question))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert client.calls == 1
