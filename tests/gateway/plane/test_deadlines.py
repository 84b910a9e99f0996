"""Deadlines: as `asyncio.timeout` has them, for many tasks behind one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pilothouse.gateway.plane.asking.deadlines import Deadlines

LONG = 3600.0
SHORT = 0.02


def run(test: Callable[[Deadlines], Awaitable[Any]]) -> None:
    async def inside() -> None:
        deadlines = Deadlines()
        try:
            await test(deadlines)
        finally:
            deadlines.close()

    asyncio.run(inside())


async def waits(deadlines: Deadlines, seconds: float) -> str:
    try:
        with deadlines.within(seconds):
            await asyncio.sleep(LONG)
    except TimeoutError:
        return "over"
    return "done"


def test_what_takes_too_long_is_ended_and_its_task_goes_on() -> None:
    async def test(deadlines: Deadlines) -> None:
        assert await waits(deadlines, SHORT) == "over"
        assert await waits(deadlines, SHORT) == "over"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(test)


def test_a_shorter_deadline_behind_a_longer_one_is_kept() -> None:
    async def test(deadlines: Deadlines) -> None:
        patient = asyncio.ensure_future(waits(deadlines, LONG))
        await asyncio.sleep(0)
        hasty = [asyncio.ensure_future(waits(deadlines, SHORT * number)) for number in (3, 1, 2)]
        assert await asyncio.gather(*hasty) == ["over"] * 3
        assert not patient.done()
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)

    run(test)


def test_what_is_done_in_time_is_left_alone() -> None:
    async def test(deadlines: Deadlines) -> None:
        for _ in range(100):
            with deadlines.within(SHORT) as deadline:
                await asyncio.sleep(0)
            assert not deadline.expired
        await asyncio.sleep(SHORT * 2)

    run(test)


def test_an_inner_deadline_leaves_the_outer_one_standing() -> None:
    async def test(deadlines: Deadlines) -> None:
        async def both() -> None:
            with deadlines.within(0.5) as outer:
                assert await waits(deadlines, SHORT) == "over"
                assert not outer.expired
                await asyncio.sleep(LONG)

        with pytest.raises(TimeoutError):
            await both()

    run(test)


def test_the_outer_deadline_passes_through_the_inner_one() -> None:
    async def test(deadlines: Deadlines) -> None:
        seen: list[str] = []

        async def both() -> None:
            with deadlines.within(SHORT):
                try:
                    with deadlines.within(LONG):
                        await asyncio.sleep(LONG)
                except BaseException as error:
                    seen.append(type(error).__name__)
                    raise

        with pytest.raises(TimeoutError):
            await both()
        assert seen == ["CancelledError"]

    run(test)


def test_who_is_cancelled_by_somebody_else_is_not_told_of_a_deadline() -> None:
    async def test(deadlines: Deadlines) -> None:
        task = asyncio.ensure_future(waits(deadlines, LONG))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)


def test_a_deadline_moves_on_and_rests() -> None:
    async def test(deadlines: Deadlines) -> None:
        now = asyncio.get_running_loop().time

        async def moved() -> None:
            with deadlines.within(SHORT) as deadline:
                deadline.since = now() + 1
                await asyncio.sleep(SHORT * 4)
                assert not deadline.expired
                deadline.since, deadline.waiting = now(), False
                await asyncio.sleep(SHORT * 4)
                assert not deadline.expired
                deadline.since, deadline.waiting = now(), True
                await asyncio.sleep(LONG)

        with pytest.raises(TimeoutError):
            await moved()

    run(test)


def test_thousands_stand_behind_one_timer() -> None:
    async def test(deadlines: Deadlines) -> None:
        loop = asyncio.get_running_loop()
        made, call_at = 0, loop.call_at

        def counted(*arguments: Any, **more: Any) -> asyncio.TimerHandle:
            nonlocal made
            made += 1
            return call_at(*arguments, **more)

        loop.call_at = counted  # type: ignore[method-assign]
        for _ in range(5_000):
            with deadlines.within(LONG):
                pass
        assert made == 1

    run(test)
