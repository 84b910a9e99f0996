from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from pilothouse.core.errors import ModelError
from pilothouse.models.types import ChatRequest, CompletionRequest, EmbeddingRequest
from pilothouse.models.wrappers.limiter import AdaptiveLimiter, LimitedClient


def overloaded(status: int = 429) -> ModelError:
    return ModelError("slow down", status=status, retryable=True)


async def hold(limiter: AdaptiveLimiter, until: asyncio.Event, error: ModelError | None = None) -> None:
    async with limiter.permit():
        await until.wait()
        await asyncio.sleep(0)  # a call takes at least a moment, so that others are in flight beside it
        if error is not None:
            raise error


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_than_the_limit_at_once() -> None:
    async def run() -> None:
        limiter, go = AdaptiveLimiter(3), asyncio.Event()
        tasks = [asyncio.create_task(hold(limiter, go)) for _ in range(10)]
        await settle()
        assert limiter.in_flight == 3
        go.set()
        await asyncio.gather(*tasks)
        assert limiter.in_flight == 0

    asyncio.run(run())


def test_first_come_first_served() -> None:
    async def run() -> list[int]:
        limiter, order = AdaptiveLimiter(1), []

        async def call(number: int) -> None:
            async with limiter.permit():
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(call(number) for number in range(20)))
        return order

    assert asyncio.run(run()) == list(range(20))


def test_refusals_of_one_window_halve_the_limit_once() -> None:
    async def run() -> None:
        limiter, go = AdaptiveLimiter(64), asyncio.Event()
        tasks = [asyncio.create_task(hold(limiter, go, overloaded())) for _ in range(50)]
        await settle()
        go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, ModelError) for result in results)
        assert limiter.limit == 32

    asyncio.run(run())


@pytest.mark.parametrize(("status", "limit"), [(429, 4), (503, 4), (529, 4), (500, 8), (400, 8)])
def test_only_being_overloaded_counts(status: int, limit: int) -> None:
    async def run() -> int:
        limiter, go = AdaptiveLimiter(8), asyncio.Event()
        go.set()
        with pytest.raises(ModelError):
            await hold(limiter, go, overloaded(status))
        return limiter.limit

    assert asyncio.run(run()) == limit


def test_the_floor_is_one_and_growth_leads_back_to_the_ceiling() -> None:
    async def run() -> None:
        limiter, go = AdaptiveLimiter(8), asyncio.Event()
        go.set()
        for _ in range(20):
            with pytest.raises(ModelError):
                await hold(limiter, go, overloaded())
        assert limiter.limit == 1
        rounds = 0
        while limiter.limit < 8:
            await asyncio.gather(*(hold(limiter, go) for _ in range(8)))
            rounds += 1
        assert rounds > 1
        for _ in range(50):
            await asyncio.gather(*(hold(limiter, go) for _ in range(8)))
        assert limiter.limit == 8

    asyncio.run(run())


def test_growth_is_one_for_each_round_of_calls() -> None:
    async def run() -> int:
        limiter, go = AdaptiveLimiter(100, start=10), asyncio.Event()
        go.set()
        await asyncio.gather(*(hold(limiter, go) for _ in range(10)))
        await asyncio.gather(*(hold(limiter, go) for _ in range(11)))
        return limiter.limit

    assert asyncio.run(run()) in {11, 12}


def test_calls_that_do_not_use_the_limit_do_not_raise_it() -> None:
    async def run() -> int:
        limiter, go = AdaptiveLimiter(100, start=10), asyncio.Event()
        go.set()
        for _ in range(200):
            await hold(limiter, go)
        return limiter.limit

    assert asyncio.run(run()) == 10


def test_one_that_waits_and_gives_up_leaves_its_place() -> None:
    async def run() -> None:
        limiter, go = AdaptiveLimiter(1), asyncio.Event()
        first = asyncio.create_task(hold(limiter, go))
        await settle()
        waiting = [asyncio.create_task(hold(limiter, go)) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        waiting[1].cancel()
        go.set()
        await asyncio.gather(first, *waiting, return_exceptions=True)
        assert waiting[2].exception() is None
        assert limiter.in_flight == 0

    asyncio.run(run())


def test_a_permit_given_in_the_moment_of_giving_up_goes_to_the_next() -> None:
    async def run() -> None:
        limiter, go = AdaptiveLimiter(1), asyncio.Event()
        first = asyncio.create_task(hold(limiter, go))
        await settle()
        second = asyncio.create_task(hold(limiter, go))
        third = asyncio.create_task(hold(limiter, go))
        await settle()
        go.set()
        await first  # its end has just given the permit to the second, which has not run yet
        second.cancel()
        await asyncio.gather(second, third, return_exceptions=True)
        assert third.exception() is None
        assert limiter.in_flight == 0

    asyncio.run(run())


def test_a_thousand_calls_with_failures_and_giving_up_leak_no_permit(inner: Any, question: ChatRequest) -> None:
    async def run() -> None:
        draw = random.Random(7)
        limiter, peak = AdaptiveLimiter(50), 0

        class Provider(inner):  # type: ignore[misc, valid-type]
            async def chat(self, request: ChatRequest) -> Any:
                nonlocal peak
                peak = max(peak, limiter.in_flight)
                await asyncio.sleep(0)
                if draw.random() < 0.05:
                    raise overloaded()
                return await super().chat(request)

        client = LimitedClient(Provider(), limiter)
        tasks = [asyncio.create_task(client.chat(question)) for _ in range(1000)]
        for _ in range(30):
            await asyncio.sleep(0)
            draw.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        answered = sum(not isinstance(result, BaseException) for result in results)
        assert answered > 900
        assert peak == 50
        assert limiter.in_flight == 0
        assert 1 <= limiter.limit <= 50

    asyncio.run(run())


def test_a_stream_holds_its_permit_to_its_end_or_until_it_is_left(inner: Any, question: ChatRequest) -> None:
    async def run() -> None:
        limiter = AdaptiveLimiter(2)
        client = LimitedClient(inner(), limiter)
        stream = client.stream(question)
        await anext(stream)
        assert limiter.in_flight == 1
        await stream.aclose()  # type: ignore[attr-defined]
        assert limiter.in_flight == 0
        async for _ in client.stream(question):
            pass
        assert limiter.in_flight == 0

    asyncio.run(run())


def test_a_limit_serves_one_event_loop_after_another(inner: Any, question: ChatRequest) -> None:
    client = LimitedClient(inner(), AdaptiveLimiter(1))

    async def run() -> None:
        await asyncio.gather(*(client.chat(question) for _ in range(3)))
        await client.complete(CompletionRequest(prompt="a"))
        await client.embed(EmbeddingRequest(inputs=("a",)))

    asyncio.run(run())
    asyncio.run(run())
    asyncio.run(client.aclose())
    assert client.provider == "inner"
