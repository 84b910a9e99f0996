"""A worker on Ray: opens the flow once, runs many lines at once as a run in one process does, and sends rows back.

Ray makes it an actor. It has no journal and no database: rows go to the driver, who alone writes. The driver asks it
for news with one waiting call (`listen`), so that many rows share the price of a message.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pilothouse.core.errors import PilothouseError
from pilothouse.core.storage.files import read_log
from pilothouse.core.storage.segments import FOLDER as SEGMENTS
from pilothouse.core.storage.segments import list_segments
from pilothouse.core.version import VERSION
from pilothouse.experiments.runs.compute.shipment import Shipment, unpack
from pilothouse.experiments.runs.compute.types import Answers, Collate, Deliver, Hello
from pilothouse.experiments.runs.engine.feed import Feed
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.loop import Engine, EngineOptions
from pilothouse.experiments.runs.engine.progress import Meter, Tally
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.isolation.desk import Desk, ParentsCache
from pilothouse.experiments.runs.isolation.types import (
    Asked,
    Gathered,
    Opening,
    Ran,
    Refused,
    Report,
    Spans,
    decode_order,
    encode_report,
)
from pilothouse.experiments.runs.journal import Recorded
from pilothouse.tracing.service import FOLDER as TELEMETRY

#: What the error of a row that took too long says besides.
REMEDY = "; a tool that hangs cannot be stopped in its thread, which ends with its worker"

#: Seconds for which more rows are awaited once one is there to be sent.
LULL = 0.005

#: Seconds between two looks at the spans that were written, where they have to be sent.
HARVEST = 1.0


class Deliveries(Feed):
    """Lines as they are delivered; whoever takes waits for more.

    Args:
        stop: Never asked: the driver stops a worker by sending it nothing, or by killing it.
        meter: Counts for nobody.
    """

    def __init__(self, stop: Stop, meter: Meter) -> None:
        super().__init__(iter(()), stop, meter)
        self._news = asyncio.Event()

    def give_back(self, lines: list[Line]) -> None:
        """Add lines, new or not run after all."""
        super().give_back(lines)
        self._news.set()

    async def take(self, most: int) -> list[Line]:
        """Return the next lines as soon as there are some."""
        while not (lines := await super().take(most)):
            self._news.clear()
            await self._news.wait()
        return lines


class Outbox:
    """Reports that wait to be fetched.

    Attributes:
        hidden: The folder that stands in front of the driver's own paths here; rows name the driver's.
    """

    def __init__(self) -> None:
        self.hidden = ""
        self._reports: list[bytes] = []
        self._news = asyncio.Event()
        self._is_urgent = False

    def tell(self, report: Report) -> None:
        """Add a report. Rows may wait for more of them; whoever asks the cache may not."""
        self._reports.append(encode_report(report))
        self._is_urgent = self._is_urgent or isinstance(report, Asked)
        self._news.set()

    async def put(self, rows: list[Recorded]) -> None:
        """Add rows."""
        for _, line in rows:
            self.tell(Ran(line.replace(self.hidden.encode(), b"") if self.hidden else line))

    async def failed(self) -> None:
        """Wait for ever: rows can always be added."""
        await asyncio.get_running_loop().create_future()

    async def fetch(self) -> list[bytes]:
        """Return what is there, as soon as there is something."""
        await self._news.wait()
        if not self._is_urgent:
            await asyncio.sleep(LULL)
        return self.empty()

    def empty(self) -> list[bytes]:
        """Return what is there."""
        reports, self._reports = self._reports, []
        self._is_urgent = False
        self._news.clear()
        return reports


class RayWorker:
    """The worker's side of the conversation; its methods are what the driver calls over Ray."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outbox = Outbox()
        self._cache: ParentsCache | None = None
        self._desk: Desk | None = None
        self._deliveries: Deliveries | None = None
        self._harvest: _Harvest | None = None

    async def hello(self) -> Hello:
        """Say where this is."""
        return Hello(VERSION, platform.python_version(), os.getpid(), platform.node())

    async def open(self, opening: bytes, shipment: Shipment | None) -> bytes:
        """Open the flow, of the folder that is named or of the files that came with it; return a report."""
        order: Any = decode_order(opening)
        assert isinstance(order, Opening)
        self._cache = ParentsCache(self._outbox.tell) if order.has_cache else None
        try:
            if shipment is not None:
                order = self._unpacked(order, shipment)
            self._desk = self._closing.enter_context(Desk(order, self._cache))
        except PilothouseError as error:
            return encode_report(Refused.of(error, hidden=self._outbox.hidden))
        return encode_report(self._desk.ready)

    async def tell(self, orders: list[bytes]) -> None:
        """Take orders; what comes of them is heard by `listen`."""
        for data in orders:
            self._take(decode_order(data))

    async def listen(self) -> list[bytes]:
        """Return reports, as soon as there are some."""
        return await self._outbox.fetch()

    async def leave(self) -> list[bytes]:
        """End tidily; return the last reports."""
        for task in self._tasks:
            task.cancel()
        self._closing.close()
        return self._outbox.empty()

    def _unpacked(self, opening: Opening, shipment: Shipment) -> Opening:
        folder = Path(tempfile.mkdtemp(prefix="pilothouse-worker-")).resolve()
        self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
        self._outbox.hidden = str(folder)
        unpacked = unpack(opening, shipment, folder)
        self._harvest = _Harvest(unpacked.state / TELEMETRY / SEGMENTS, self._outbox)
        # Once the flow is closed all spans are on the disk, and the folder is there still.
        self._closing.callback(self._harvest.gather)
        self._begin(self._harvest.watch())
        return unpacked

    def _take(self, order: Any) -> None:
        if isinstance(order, Answers):
            for answer in order.items:
                if self._cache is not None:
                    self._cache.answered(answer)
        elif isinstance(order, Deliver):
            if self._deliveries is None:
                self._deliveries = self._open_for(order)
            self._deliveries.give_back(list(order.lines))
        elif isinstance(order, Collate):
            self._begin(self._gather(order))

    def _open_for(self, order: Deliver) -> Deliveries:
        """Begin to run what is delivered, and return where it goes."""
        assert self._desk is not None
        desk, stop = self._desk, Stop()
        meter = Meter("", Tally(), None, desk.clock)
        deliveries = Deliveries(stop, meter)
        engine = Engine(
            desk.runner,
            feed=deliveries,
            writer=self._outbox,
            finish=desk.finish(order.attempt, REMEDY),
            options=EngineOptions(concurrency=order.concurrency, timeout=desk.timeout, grace=0.0),
            stop=stop,
            meter=meter,
        )
        self._begin(engine.run())
        return deliveries

    async def _gather(self, order: Collate) -> None:
        assert self._desk is not None
        self._outbox.tell(Gathered(await self._desk.gather(order.lines)))

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Ours, or KeyboardInterrupt out of an async tool: the driver sees a worker that died.
            traceback.print_exception(error)
            os._exit(1)


class _Harvest:
    """Spans that this worker has written, as they are sent to the driver.

    Args:
        folder: Where their segments are.
        outbox: Where they go.
    """

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self._folder = folder
        self._outbox = outbox
        self._read: dict[Path, int] = {}

    async def watch(self) -> None:
        """Send what is new, now and then."""
        while True:
            await asyncio.sleep(HARVEST)
            self.gather()

    def gather(self) -> None:
        """Send what is new."""
        found: list[bytes] = []
        for path in list_segments(self._folder):
            for end, line in read_log(path, self._read.get(path, 0)):
                self._read[path] = end
                found.append(line)
        if found:
            self._outbox.tell(Spans(tuple(found)))
