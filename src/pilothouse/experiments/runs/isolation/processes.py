"""Workers as the parent sees them: processes that are started, talked to, killed, and whose end is told."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from pilothouse.core.errors import StorageError
from pilothouse.experiments.runs.isolation.channel import Channel
from pilothouse.experiments.runs.isolation.types import (
    Order,
    Report,
    WorkerDied,
    decode_report,
    encode_order,
)
from pilothouse.experiments.runs.isolation.warden import DIED, KILL, NEWS, ORDER, START, kill_group, main
from pilothouse.experiments.runs.isolation.worker import work

StartMethod = Literal["fork", "spawn"]
START_METHODS: tuple[StartMethod, ...] = ("fork", "spawn")

#: Seconds in which what a dead worker has sent is read.
DRAIN = 0.2
#: Seconds in which a warden that is told to end has killed all its workers.
END = 10.0

_WARDEN = (
    f"import json, sys; path, *given = json.loads(sys.argv[1]); sys.path[:] = path; "
    f"from {main.__module__} import {main.__name__}; {main.__name__}(*given)"
)
_WORKER = (
    f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    f"from {work.__module__} import {work.__name__}; {work.__name__}(int(sys.argv[2]))"
)


def default_method() -> StartMethod:
    """Return how workers are started here: only on Linux may a process that has imported much be forked at will."""
    return "fork" if sys.platform == "linux" else "spawn"


class Worker:
    """One worker process.

    Attributes:
        pid: Its number.
        died: Its exit code, once it has ended.
    """

    def __init__(self, pid: int, channel: Channel, kill: Callable[[int], None]) -> None:
        self.pid = pid
        self._kill = kill
        self.died: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = channel

    def send(self, order: Order) -> None:
        """Tell it what to do."""
        self._channel.send(encode_order(order))

    async def receive(self) -> Report:
        """Return its next report.

        Raises:
            WorkerDied: when it ended instead.
        """
        data = await self._channel.receive()
        if data is None:
            await asyncio.wait([self.died], timeout=DRAIN)
            # A tool may have closed our end: nobody would hear of this worker again.
            raise WorkerDied(await self.kill())
        return decode_report(data)

    async def kill(self) -> int:
        """Kill it and all processes of its group, and return its exit code once it is gone."""
        if not self.died.done():
            self._kill(self.pid)
        return await asyncio.shield(self.died)

    def ended(self, code: int) -> None:
        """Note that it ended; what it has sent before is still read."""
        self.died.set_result(code)
        # A process that its tool has started may hold the other end open for ever.
        asyncio.get_running_loop().call_later(DRAIN, self._channel.end)

    def hang_up(self) -> None:
        """Let it know that nobody listens any more."""
        self._channel.end()


class Warden:
    """The process that starts workers and leaves none behind.

    Args:
        method: ``fork`` a warden that has imported everything, or ``spawn`` an interpreter for each worker.
    """

    def __init__(self, method: StartMethod) -> None:
        self._method: StartMethod = method
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._unread = b""
        self._starting: deque[tuple[asyncio.Future[Worker], Channel]] = deque()
        self._workers: dict[int, Worker] = {}

    def start(self) -> None:
        """Start the process; it imports what workers need while this one goes on."""
        ours, theirs = socket.socketpair()
        program = [sys.executable, "-c", _WORKER, json.dumps(sys.path)] if self._method == "spawn" else None
        given = json.dumps([sys.path, theirs.fileno(), program])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WARDEN, given],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.setblocking(False)
        self._link = ours
        asyncio.get_running_loop().add_reader(ours, self._read)

    async def hire(self) -> Worker:
        """Return a new worker.

        Raises:
            StorageError: when the system gives no process.
        """
        ours, theirs = socket.socketpair()
        channel = await Channel.over(ours)
        started: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        with theirs:
            try:
                if self._link is None:
                    raise _gone()
                self._starting.append((started, channel))
                socket.send_fds(self._link, [ORDER.pack(START, 0)], [theirs.fileno()])
                return await asyncio.shield(started)
            except BaseException:
                channel.end()
                raise

    def _kill(self, pid: int) -> None:
        if self._link is not None:
            with suppress(OSError):
                self._link.send(ORDER.pack(KILL, pid))

    async def close(self) -> None:
        """Kill all workers that are left, and end."""
        for worker in self._workers.values():
            worker.hang_up()
        self._leave()
        if self._process is not None:
            # It ends within milliseconds; in a thread, so that the loop may go on.
            await asyncio.shield(asyncio.to_thread(_ended, self._process))

    def _leave(self) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None

    def _read(self) -> None:
        assert self._link is not None
        try:
            data = self._link.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._unread += data
        while len(self._unread) >= NEWS.size:
            what, pid, code = NEWS.unpack_from(self._unread)
            self._unread = self._unread[NEWS.size :]
            if what == START:
                started, channel = self._starting.popleft()
                worker = self._workers[pid] = Worker(pid, channel, self._kill)
                started.set_result(worker)
            elif what == DIED:
                self._workers.pop(pid).ended(code)

    def _lost(self) -> None:
        """The warden was killed, and the system kills its workers; what these have started is ours to end."""
        self._leave()
        while self._starting:
            self._starting.popleft()[0].set_exception(_gone())
        while self._workers:
            pid, worker = self._workers.popitem()
            kill_group(pid)
            worker.ended(-signal.SIGKILL)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _gone() -> StorageError:
    return StorageError("the process that starts workers has ended", fix="look for what killed it, then resume the run")
