"""The engine alone, on runners that do exactly what the test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.clock import FixedClock, SystemClock
from pilothouse.core.errors import DataError, StorageError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.engine.feed import Feed
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.loop import Engine, EngineOptions
from pilothouse.experiments.runs.engine.outcome import RowMaker
from pilothouse.experiments.runs.engine.pricing import Tariffs
from pilothouse.experiments.runs.engine.progress import Meter, Tally
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.journal import Journal, RowWriter
from pilothouse.experiments.runs.types import RunRow
from pilothouse.flows.results import LineResult

from ...conftest import START


class Runner:
    """Answers 2 x; overridden by tests."""

    is_sync = False

    def __init__(self) -> None:
        self.now = self.most = 0

    async def run_line(self, inputs: Any, *, line_number: int, repeat: int) -> LineResult:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self.answer(inputs["x"])
        finally:
            self.now -= 1

    async def answer(self, x: int) -> LineResult:
        await asyncio.sleep(0)
        return result(x)

    def run_line_sync(self, inputs: Any, *, line_number: int) -> LineResult:
        return result(inputs["x"])


def result(x: int) -> LineResult:
    return LineResult(status="completed", inputs={"x": x}, outputs={"y": 2 * x})


def lines(count: int) -> Iterator[Line]:
    for number in range(count):
        yield Line(line_id=str(number), number=number, inputs={"x": number})


class Bench:
    """An engine over a journal of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.jsonl"
        self.tally = Tally()
        self.stop = Stop()
        self.engine: Engine | None = None

    async def run(
        self, runner: Any, source: Iterator[Line], *, concurrency: int = 8, timeout: float = 60.0, grace: float = 60.0
    ) -> bool:
        meter = Meter("run", self.tally, None, SystemClock())
        finish = RowMaker(attempt=1, timeout=timeout, tariffs=Tariffs(lambda *_: None, START), clock=FixedClock(START))
        options = EngineOptions(concurrency=concurrency, timeout=timeout, grace=grace)
        with AppendLog(self.path) as log:
            writer = RowWriter(log, interval=0.01, batch=100, on_recorded=self.tally.add)
            self.engine = Engine(
                runner,
                feed=Feed(source, self.stop, meter),
                writer=writer,
                finish=finish,
                options=options,
                stop=self.stop,
                meter=meter,
            )
            async with writer:
                await self.engine.run()
        assert meter.in_flight == 0 or not self.engine.is_complete
        return self.engine.is_complete

    def rows(self) -> list[RunRow]:
        return list(Journal(self.path).rows())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Sync(Runner):
    is_sync = True


@pytest.mark.parametrize("runner", [Runner(), Sync()], ids=["async", "sync"])
def test_every_line_is_run_once_and_recorded(bench: Bench, runner: Runner) -> None:
    assert asyncio.run(bench.run(runner, lines(1000)))
    assert [(row.number, row.outputs["y"]) for row in bench.rows()] == [(n, 2 * n) for n in range(1000)]
    assert len(bench.path.read_bytes().splitlines()) == 1000


def test_no_more_rows_are_in_flight_than_allowed(bench: Bench) -> None:
    runner = Runner()
    asyncio.run(bench.run(runner, lines(100), concurrency=7))
    assert runner.most == 7


@pytest.mark.parametrize("runner", [Runner(), Sync()], ids=["async", "sync"])
def test_lines_are_read_as_they_are_needed(bench: Bench, runner: Runner) -> None:
    furthest = 0

    def watched() -> Iterator[Line]:
        nonlocal furthest
        for line in lines(3000):
            assert line.number - bench.tally.done < 1500, "the source must not be read far ahead of the journal"
            furthest = line.number
            yield line

    assert asyncio.run(bench.run(runner, watched()))
    assert furthest == 2999


def test_a_row_that_raises_what_it_should_not_fails_alone(bench: Bench) -> None:
    class Defective(Runner):
        async def answer(self, x: int) -> LineResult:
            if x == 3:
                raise RuntimeError("a defect")
            return result(x)

    assert asyncio.run(bench.run(Defective(), lines(6)))
    failed = [row for row in bench.rows() if row.status == "failed"]
    assert [row.number for row in failed] == [3]
    assert failed[0].error is not None
    assert failed[0].error.type == "RuntimeError"
    assert "a defect" in (failed[0].error.traceback or "")


def test_waiting_rows_get_threads_of_their_own(bench: Bench) -> None:
    class Meeting(Sync):
        """Rows wait for each other: they end only when eight of them are in flight at once."""

        together = threading.Barrier(8)

        def run_line_sync(self, inputs: Any, *, line_number: int) -> LineResult:
            self.together.wait(30)
            return result(inputs["x"])

    assert asyncio.run(bench.run(Meeting(), lines(32), concurrency=8))
    assert len(bench.rows()) == 32


def test_a_slow_row_holds_up_neither_those_before_nor_those_behind_it(bench: Bench) -> None:
    released = threading.Event()

    class Holding(Sync):
        def run_line_sync(self, inputs: Any, *, line_number: int) -> LineResult:
            if inputs["x"] == 200:
                assert released.wait(30)
            return result(inputs["x"])

    async def work() -> None:
        running = asyncio.create_task(bench.run(Holding(), lines(1000)))
        while bench.tally.done < 999:
            await asyncio.sleep(0.01)
        assert not running.done()
        released.set()
        assert await running

    asyncio.run(asyncio.wait_for(work(), 30))
    assert len(bench.rows()) == 1000


def test_a_row_that_hangs_in_its_thread_times_out_and_the_others_go_on(bench: Bench) -> None:
    for_ever = threading.Event()

    class Hanging(Sync):
        def run_line_sync(self, inputs: Any, *, line_number: int) -> LineResult:
            if inputs["x"] in (5, 6, 7):
                for_ever.wait()
            return result(inputs["x"])

    assert asyncio.run(bench.run(Hanging(), lines(50), concurrency=2, timeout=0.2))
    for_ever.set()
    rows = bench.rows()
    assert [row.number for row in rows if row.status == "failed"] == [5, 6, 7]
    assert rows[5].error is not None
    assert rows[5].error.type == "Timeout"
    assert len(rows) == 50


def test_a_stop_lets_rows_in_flight_finish_and_takes_no_more(bench: Bench) -> None:
    class Stopping(Runner):
        async def answer(self, x: int) -> LineResult:
            if x == 20:
                bench.stop.ask()
            await asyncio.sleep(0.01)
            return result(x)

    assert not asyncio.run(bench.run(Stopping(), lines(1000), concurrency=4))
    assert [row.number for row in bench.rows()] == list(range(len(bench.rows())))
    assert 21 <= len(bench.rows()) <= 24


@pytest.mark.parametrize("ask_twice", [True, False], ids=["twice", "grace"])
def test_rows_that_outlast_the_grace_are_left_unrecorded(bench: Bench, ask_twice: bool) -> None:
    class Stuck(Runner):
        async def answer(self, x: int) -> LineResult:
            if x == 10:
                bench.stop.ask()
                if ask_twice:
                    bench.stop.ask()
                await asyncio.Event().wait()
            return result(x)

    assert not asyncio.run(bench.run(Stuck(), lines(100), concurrency=1, grace=60.0 if ask_twice else 0.05))
    assert [row.number for row in bench.rows()] == list(range(10))


def test_a_stop_after_the_last_line_changes_nothing(bench: Bench) -> None:
    class Late(Runner):
        async def answer(self, x: int) -> LineResult:
            if x == 9:
                bench.stop.ask()
            return result(x)

    assert asyncio.run(bench.run(Late(), lines(10), concurrency=1))
    assert len(bench.rows()) == 10


def test_a_source_that_breaks_keeps_the_rows_before_it(bench: Bench) -> None:
    def breaking() -> Iterator[Line]:
        yield from lines(20)
        raise DataError("line 21 is broken")

    with pytest.raises(DataError, match="line 21"):
        asyncio.run(bench.run(Runner(), breaking()))
    assert len(bench.rows()) == 20


def test_a_failing_disk_ends_the_run_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Runner):
        async def answer(self, x: int) -> LineResult:
            if x > 50:
                await asyncio.Event().wait()
            return result(x)

    def append(_log: AppendLog, _lines: Sequence[bytes]) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(AppendLog, "append", append)
    with pytest.raises(StorageError):
        asyncio.run(asyncio.wait_for(bench.run(Endless(), lines(100)), 30))
    monkeypatch.undo()
    assert bench.rows() == []


def test_rates_and_remaining_time_follow_the_last_seconds() -> None:
    clock = FixedClock(START)
    tally = Tally()
    meter = Meter("run", tally, 100, clock)
    row = RunRow(line_id="a", number=0, status="completed")
    assert meter.glance().eta is None
    for _ in range(4):
        clock.advance(1.0)
        tally.add([row] * 5)
        glance = meter.glance()
    assert glance.rows_per_second == pytest.approx(5.0)
    assert glance.eta == pytest.approx(16.0)
    clock.advance(60.0)
    assert meter.glance().rows_per_second < 1.0
