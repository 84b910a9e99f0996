"""A stream on its way to the client: watched for stalls and cuts, metered, guarded, continued where that is allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.guards.streams import GuardedStream
from pilothouse.gateway.plane.admission import BYTES_PER_TOKEN, CHUNK, input_size
from pilothouse.gateway.plane.asking.attempts import Opened
from pilothouse.gateway.plane.asking.deadlines import Deadline, Deadlines
from pilothouse.gateway.plane.asking.failures import AttemptFailed, told_error
from pilothouse.gateway.plane.asking.relays import TranslatingRelay
from pilothouse.gateway.plane.call import Call, is_metered
from pilothouse.gateway.plane.client import Client
from pilothouse.gateway.upstream.types import UpstreamFault
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

_CUT_REASON: Final = "length"


class Stream:
    """Hands one answer on.

    Args:
        call: The call.
        opened: Its answer.
        client: Where it goes.
        guarded: What the guards do with it; None for nothing.
        rates: What calls cost, for limits inside the stream.
        deadlines: What ends a stream that stalls.
        keep: Most bytes remembered of what was sent, for caches and captures; 0 for none.

    Attributes:
        sent: What was sent, as far as it was to be kept; None where it was longer.
    """

    def __init__(
        self,
        call: Call,
        opened: Opened,
        client: Client,
        guarded: GuardedStream | None,
        rates: RateCard,
        deadlines: Deadlines,
        *,
        keep: int = 0,
    ) -> None:
        assert opened.relay is not None
        self._call = call
        self._opened = opened
        self.relay: Relay = opened.relay
        self._client = client
        self._guarded = guarded
        self._rates = rates
        self._deadlines = deadlines
        self._keep = keep
        self.sent: list[bytes] | None = [] if keep else None
        self._allowed: int | None = CHUNK if is_metered(call) else None
        self._is_last_chunk = False

    def go_on(self, opened: Opened) -> None:
        """Take another answer, whose bytes go through the same relay; then run again."""
        self._opened = opened

    async def run(self) -> None:
        """Hand the answer on to its end.

        Raises:
            AttemptFailed: when it stalls, breaks off or stops making sense; what came was handed on.
            Refusal: when a guard blocks it.
        """
        await self._hand_on(self._opened.first)
        if self.relay.error:
            raise told_error(self._opened.step, self.relay.error)
        try:
            with self._deadlines.within(self._opened.step.route.settings.timeouts.idle) as idle:
                await self._pump(idle)
        except TimeoutError:
            raise AttemptFailed("stream_idle", "the upstream stopped inside its answer") from None
        finally:
            await self._opened.answer.aclose()
        await self._close()

    async def _pump(self, idle: Deadline) -> None:
        answer, relay, call = self._opened.answer, self.relay, self._call
        clock, loop_time = time.perf_counter_ns, asyncio.get_running_loop().time
        hand_on = self._client.piece if self._guarded is None and self.sent is None else self._hand_on
        while True:
            asked = clock()
            idle.since, idle.waiting = loop_time(), True
            try:
                piece = await answer.read()
            except UpstreamFault as fault:
                if relay.is_finished:
                    return  # all of the answer has come; how its connection ends changes nothing
                raise AttemptFailed(fault.failure, fault.message) from fault
            idle.waiting = False
            call.waited += clock() - asked
            if piece is None:
                return
            for part in (piece,) if self._allowed is None else self._parts(piece):
                try:
                    out = relay.feed(part)
                except ValueError as error:
                    raise AttemptFailed("malformed", f"the upstream's stream makes no sense: {error}") from error
                if out:
                    await hand_on(out)
                if relay.error:
                    raise told_error(self._opened.step, relay.error)
                if self._allowed is not None and not await self._may_go_on():
                    return

    def _written(self) -> int:
        return max(self.relay.deltas, -(-self.relay.text_bytes // BYTES_PER_TOKEN))

    def _parts(self, piece: bytes) -> Sequence[bytes]:
        """Return a piece whole, or event by event where it may hold more than is still set aside."""
        if len(piece) // BYTES_PER_TOKEN < (self._allowed or 0) - self._written():
            return (piece,)
        *events, rest = piece.split(b"\n\n")
        return [*(event + b"\n\n" for event in events), rest]

    async def _hand_on(self, data: bytes) -> None:
        if self._guarded is not None:
            data = await self._guarded.feed(data)
        if not data:
            return
        if self.sent is not None:
            self._remember(data)
        await self._client.piece(data)

    def _remember(self, data: bytes) -> None:
        assert self.sent is not None
        self._keep -= len(data)
        if self._keep < 0:
            self.sent = None
        else:
            self.sent.append(data)

    async def _close(self) -> None:
        last = self.relay.finish()
        if not self.relay.is_finished:
            raise AttemptFailed("cut", "the upstream ended inside its answer")
        if last:
            await self._hand_on(last)
        if self._guarded is not None and (rest := await self._guarded.finish()):
            if self.sent is not None:
                self._remember(rest)
            await self._client.piece(rest)

    async def _may_go_on(self) -> bool:
        """Set the next piece of the answer's length aside; where the limits refuse, end the answer politely."""
        call, relay = self._call, self.relay
        assert self._allowed is not None
        assert call.reservation is not None
        assert call.snapshot.limiter is not None
        written = self._written()
        lacking = written + CHUNK // 4 - self._allowed
        if lacking < 0 or (self._is_last_chunk and written < self._allowed):
            return True
        deployment = self._opened.step.deployment
        rate = self._rates.rate(deployment.provider.name, deployment.model or call.model, call.at_ns)
        more = CHUNK * (1 + lacking // CHUNK)
        cost = rate.bound(0, more) if rate is not None else 0
        if not self._is_last_chunk and await call.snapshot.limiter.extend(call.reservation, tokens=more, cost=cost):
            self._allowed += more
            return True
        self._is_last_chunk = True
        if written < self._allowed:
            return True
        call.status, call.code = "cut", "budget_exceeded"
        call.incidents.append("cut_by_limit")
        usage = Usage(input_tokens=-(-input_size(call.raw)[0] // BYTES_PER_TOKEN), output_tokens=written)
        if isinstance(relay, TranslatingRelay):
            await self._hand_on(relay.cut(_CUT_REASON, usage))
            call.usage, call.usage_source = usage, "estimated"
        return False
