"""What one worker keeps beside the shared counters: what it holds, what is still to be told, what it last saw.

A server that was started anew has forgotten or, with an old log, remembers too little. Its workers notice, begin a new
epoch together, tell it what they hold and what they last saw, and let no call pass before all had time to do so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from pilothouse.core.errors import PilothouseError
from pilothouse.core.ids import new_id
from pilothouse.gateway.limits.shared.link import Argument, Link, Unavailable, Unknown
from pilothouse.gateway.limits.shared.reservation import SharedReservation
from pilothouse.gateway.limits.shared.script import Packed, Wire

_CHUNK: Final = 300
_AGAIN: Final = 0.05
_SEEN: Final = 65_536

Opener = Callable[[], Coroutine[Any, Any, None]]


class SharedState:
    """One worker's part; outlives the limiters over it, each of which is one configuration's rules.

    Attributes:
        worker: This incarnation's name: a worker that is started anew is another one.
        epoch: In which it counts; empty before the first.
        joined: Whether it has told the epoch all it knows: only then calls are reserved.
        held: Calls whose end the server has not confirmed.
        pending: Calls that ended, with tokens and cost (-1: as set aside) still to be told. Without the server no
            call is reserved: never more than were in flight when it went away.
        opened: Rounds of opening balances that have been told.
        away: Set once the server was not reached.

    Args:
        link: To the server.
        lease: Seconds after which a worker that shows no sign of life is taken for dead.
        gather: Seconds that workers have to tell a new epoch what they know; half the lease by default.
        flush: Awaited before a new epoch is told anything: after it the ledger holds what was settled until then.
    """

    def __init__(
        self,
        link: Link,
        *,
        lease: float = 12.0,
        gather: float | None = None,
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.link = link
        self.worker = new_id()
        self.lease_ms = round(lease * 1000)
        self.gather_ms = self.lease_ms // 2 if gather is None else round(gather * 1000)
        self.epoch = ""
        self.joined = False
        self.held: dict[str, SharedReservation] = {}
        self.pending: dict[str, tuple[int, int]] = {}
        self.opened = 0
        self.away = asyncio.Event()
        self._flush = flush
        self._seen: dict[str, tuple[Wire, int, int]] = {}
        self._marked: dict[str, float] = {}
        self._openers: dict[Opener, None] = {}
        self._newest: Opener | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._opening: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep the lease and to tell what is to be told; within a running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Tell what can still be told, then end. What cannot is charged as set aside when the lease ends."""
        self._closing = True  # the client may take a cancellation for a fault of the connection
        tasks = [task for task in (self._task, self._opening) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._task = self._opening = None
        with contextlib.suppress(Unavailable, Unknown):
            if self.joined:
                await self._tell()
        await self.link.aclose()

    async def run(self, verb: str, *arguments: Argument) -> list[int]:
        """Run a verb in the present epoch; notices when it is over.

        Raises:
            Unknown: It is over.
            Unavailable: No answer.
        """
        if not self.joined:
            raise Unknown
        epoch = self.epoch
        try:
            reply = await self.link.run(epoch, verb, self.worker, self.lease_ms, *arguments)
        except Unknown:
            self._lost(epoch)
            raise
        if epoch != self.epoch or (reply[0] == -1 and reply[1] == 1):
            self._lost(epoch)
            raise Unknown
        return reply

    def want(self, opener: Opener) -> None:
        """Have opening balances told soon."""
        self._newest = opener
        self._openers[opener] = None
        self._wake.set()

    @property
    def ready(self) -> bool:
        """Whether calls can be reserved: all workers have told the epoch what they know, and balances are open."""
        return self.joined and not self._openers

    def void(self, call_id: str) -> None:
        """Take back a call of which nobody knows whether it was reserved: also if the request arrives later."""
        self.pending[call_id] = (-1, 0)
        self._wake.set()

    def saw(self, packed: Packed, values: Iterable[Sequence[int]]) -> None:
        """Remember the last value and its time of each counter."""
        seen = self._seen
        for wire, (value, at) in zip(packed.wires, values, strict=True):
            if wire.kind != "c" and value >= 0:
                known = seen.get(wire.key) if wire.kind == "t" else None
                # A window's count only rises, but for corrections: less is what an epoch knows that has just begun.
                seen[wire.key] = (wire, value, at) if known is None or known[1] <= value else known
        if len(seen) > _SEEN:
            for key in list(islice(seen, _SEEN // 2)):
                del seen[key]

    async def settle(self, reservation: SharedReservation, tokens: int, cost: int) -> None:
        """Tell how a call ended, now or as soon as the server is back."""
        self.pending[reservation.call_id] = (tokens, cost)
        try:
            await self._confirm({reservation.call_id: (tokens, cost)})
        except (Unavailable, Unknown):
            self._wake.set()

    def _lost(self, epoch: str) -> None:
        if epoch == self.epoch:
            self.joined = False
        self._wake.set()

    async def _run(self) -> None:
        pause = min(self.lease_ms, 2 * self.gather_ms) / 4000
        while not self._closing:
            self._wake.clear()
            try:
                if not self.joined:
                    await self._join()
                await self.run("beat")
                await self._tell()
            except (Unavailable, Unknown) as error:
                if isinstance(error, Unavailable):
                    self.away.set()
                await asyncio.sleep(min(pause, _AGAIN))
                continue
            self._open()
            if not self.pending:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)

    def _open(self) -> None:
        """Have one opener run beside this; one that failed, for want of the ledger or the server, runs again."""
        task = self._opening
        if task is not None:
            if not task.done():
                return
            if not task.cancelled() and task.exception() is None:
                self.opened += 1
                self._openers.pop(next(iter(self._openers)), None)
            self._opening = None
        if self._openers:
            self._opening = asyncio.get_running_loop().create_task(next(iter(self._openers))())
            self._opening.add_done_callback(lambda _: self._wake.set())

    async def _join(self) -> None:
        """Find the epoch, or begin one, and tell it all that this worker knows."""
        epoch = await self.link.epoch()
        if not await self.link.knows(epoch):
            over, epoch = epoch, new_id()
            if not await self.link.begin(epoch, self.worker, self.lease_ms, over, self.gather_ms):
                raise Unknown
            await self.link.forget(over)
        await self._written()
        if epoch != self.epoch:
            self._marked.clear()
            self.pending = {call: used for call, used in self.pending.items() if used[0] >= 0}
            if self._newest is not None:
                self._openers[self._newest] = None
        self.epoch = epoch
        records: list[Argument] = []
        for reservation in self.held.values():
            records += (reservation.call_id, reservation.record())
        seen: list[Argument] = []
        for wire, value, at in self._seen.values():
            seen += (msgspec.msgpack.encode(wire), value, at)
        for verb, told, size in (("recall", seen, 3), ("join", records, 2)):
            for at in range(0, max(len(told), 1), size * _CHUNK):
                reply = await self.link.run(epoch, verb, self.worker, self.lease_ms, *told[at : at + size * _CHUNK])
                if reply[0] != 1:
                    raise Unknown
        self.joined = True

    async def _written(self) -> None:
        """Have what was settled until now in the ledger, where those who open windows read it."""
        if self._flush is None:
            return
        try:
            await self._flush()
        except (PilothouseError, OSError) as error:
            raise Unavailable(type(error).__name__) from error

    async def _tell(self) -> None:
        """Tell all that is to be told; marks that kept a late request out are taken away when none can come."""
        now = time.monotonic()
        for call in [call for call, at in self._marked.items() if at <= now]:
            del self._marked[call]
            self.pending.setdefault(call, (0, 0))
        if self.pending:
            await self._written()
        while self.pending:
            await self._confirm(dict(islice(self.pending.items(), _CHUNK)))

    async def _confirm(self, ended: dict[str, tuple[int, int]]) -> None:
        told: list[Argument] = []
        for call, (tokens, cost) in ended.items():
            told += (call, tokens, cost)
        reply = await self.run("settle", *told)
        if reply[0] == -1:  # others still tell the epoch what they know
            raise Unknown
        at = 1
        for call, used in ended.items():
            if self.pending.get(call) == used:
                del self.pending[call]
            reservation = self.held.pop(call, None)
            if reservation is not None and reservation.packed is not None and reply[at]:
                self.saw(reservation.packed, pieces(reply[: at + 1 + 2 * reply[at]], at + 1, 2))
            at += 1 + 2 * reply[at]
            if used[0] < 0:
                self._marked[call] = time.monotonic() + 4 * self.lease_ms / 1000


def pieces(reply: Sequence[int], start: int, step: int) -> Iterator[Sequence[int]]:
    """Cut a reply of the script into equal pieces."""
    return (reply[at : at + step] for at in range(start, len(reply), step))
