"""Attempts: a call is offered to one deployment after another until one begins to answer."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from msgspec import Struct, structs

from pilothouse.core.errors import PilothouseError
from pilothouse.gateway.dialects.codecs import codec, has_codec
from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.plane.admission import bound
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.asking.failures import AttemptFailed, code_of, read_all, refused_by, told_error
from pilothouse.gateway.plane.asking.given_up import broken, has_room, may_be_billed
from pilothouse.gateway.plane.asking.relays import RawRelay, TranslatingRelay
from pilothouse.gateway.plane.asking.tracing import with_trace
from pilothouse.gateway.plane.asking.translation import outgoing_body, whole_answer
from pilothouse.gateway.plane.call import Call, is_metered, may_continue
from pilothouse.gateway.refusals import STATUSES, Refusal
from pilothouse.gateway.routing.types import Itinerary, Step
from pilothouse.gateway.types import Attempt, Failure, Wire
from pilothouse.gateway.upstream.types import Answer, Transport, UpstreamFault
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

_LONGEST_ANSWER: Final = 1 << 28
_CLIENTS_OWN: Final[frozenset[Failure]] = frozenset({"request", "context_length", "content_filter", "rate_limit"})


class Opened(Struct, kw_only=True):
    """An answer that has begun.

    Attributes:
        step: Who gives it.
        wire: The upstream's form.
        answer: Where the rest of it comes from; closed already where ``body`` holds the whole.
        content_type: Of what the client gets.
        body: The whole answer in the client's form; None for a stream.
        relay: For a stream: what the bytes go through.
        first: For a stream: what the first bytes became.
        usage: Of a whole answer: what its provider counted.
    """

    step: Step
    wire: Wire
    answer: Answer
    content_type: str
    body: bytes | None = None
    relay: Relay | None = None
    first: bytes = b""
    usage: Usage | None = None


class Attempts:
    """Offers one call to deployments.

    Args:
        call: The call.
        itinerary: Who is asked, and who next.
        transport: The way to them.
        deadlines: What ends an attempt that does not begin.
        rates: What calls cost, for what was given up.
    """

    def __init__(
        self, call: Call, itinerary: Itinerary, transport: Transport, deadlines: Deadlines, rates: RateCard
    ) -> None:
        self._call = call
        self._itinerary = itinerary
        self._transport = transport
        self._deadlines = deadlines
        self._rates = rates
        self._last: AttemptFailed | None = None
        self._resume: TranslatingRelay | None = None

    async def open(self, *, resume: TranslatingRelay | None = None) -> Opened:
        """Return the first answer that begins.

        Args:
            resume: Of a stream that broke off: what its rest goes through.

        Raises:
            Refusal: when nobody is left to ask.
        """
        self._resume = resume
        while (step := self._itinerary.next()) is not None:
            if step.wait:
                self._call.waited += await _pause(step.wait)
            if self._last is not None and not await has_room(self._call, step.deployment, self._rates):
                self._leave(step)
                break
            try:
                if step.hedge_after is not None:
                    return await self._hedged(step)
                return await self._try(step)
            except AttemptFailed as failed:
                self._last = failed
        raise self._given_up()

    def failed(self, step: Step, failed: AttemptFailed, pieces: int) -> None:
        """Tell routing and the trace of an attempt that failed inside its answer, after so many pieces of it."""
        broken(self._call, step.deployment, failed.failure, pieces, self._rates)
        self._itinerary.failed(step, failed.failure, retry_after=failed.retry_after, retryable=failed.retryable)
        self._last = failed

    def _leave(self, step: Step) -> None:
        """Make an attempt not: no budget holds it beside those that were given up."""
        self._itinerary.failed(step, "cancelled", retryable=False)
        self._call.incidents.append("attempt_beyond_budget")

    def _given_up(self) -> Refusal:
        last, way = self._last, self._itinerary
        if last is None and way.reason == "unserved":
            # Another try would fare no better, so it must not look like a passing state.
            endpoint, route = self._call.endpoint, self._call.route
            name = route.name if route is not None else self._call.facts.model
            asked = endpoint.resource or f"{endpoint.operation} ({endpoint.wire})"
            return Refusal("not_supported", f"no deployment of '{name}' serves {asked} like this")
        if last is None:
            again = way.retry_after or 1.0
            return Refusal("no_deployment", "no deployment can take this call now; try again later", retry_after=again)
        if last.failure in _CLIENTS_OWN and 400 <= last.status < 500:
            return Refusal("upstream_rejected", last.message, status=last.status, retry_after=last.retry_after)
        if last.failure == "request":
            return Refusal("invalid_request", last.message)
        if last.failure == "rate_limit":
            return Refusal("overloaded", last.message, retry_after=last.retry_after or way.retry_after)
        code = code_of(last.failure)
        return Refusal(code, last.message, status=STATUSES[code], retry_after=last.retry_after)

    async def _hedged(self, step: Step) -> Opened:
        """Race an attempt against a second one that starts when no byte has come after a while."""
        running = {asyncio.ensure_future(self._try(step))}
        wait: float | None = step.hedge_after
        winner: Opened | None = None
        try:
            while running and winner is None:
                done, running = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    winner = await self._winner(task, winner)
                if not done and (second := await self._second(step)) is not None:
                    running = {*running, asyncio.ensure_future(self._try(second, hedge=True))}
                wait = None
        finally:
            for task in running:
                task.cancel()
            for late in await asyncio.gather(*running, return_exceptions=True):
                # An answer that was complete in the moment it was cancelled.
                if isinstance(late, Opened):
                    await self._lost(late, winner)
        if winner is None:
            assert self._last is not None
            raise self._last
        return winner

    async def _second(self, first: Step) -> Step | None:
        """Return who is asked beside the first; None where nobody may be, or no budget holds both."""
        second = self._itinerary.hedge()
        if second is None or await has_room(self._call, second.deployment, self._rates, beside=first.deployment):
            return second
        self._leave(second)
        return None

    async def _winner(self, task: asyncio.Future[Opened], winner: Opened | None) -> Opened | None:
        error = task.exception()
        if isinstance(error, AttemptFailed):
            self._last = error
        elif error is not None:
            raise error
        elif winner is None:
            return task.result()
        else:
            # Both answered at once.
            await self._lost(task.result(), winner)
        return winner

    async def _lost(self, loser: Opened, winner: Opened | None) -> None:
        """Let go of an answer that came beside another one: what is known of the call is the other's."""
        call = self._call
        broken(call, loser.step.deployment, "cancelled", 0, self._rates)
        call.deployment = loser.step.deployment if winner is None else winner.step.deployment
        call.usage = None if winner is None else winner.usage
        call.usage_source = "none" if call.usage is None else "provider"
        self._itinerary.ended(loser.step)
        await loser.answer.aclose()

    async def _try(self, step: Step, *, hedge: bool = False) -> Opened:
        call = self._call
        begun = time.perf_counter_ns()
        status = 0
        failure: Failure | None = None
        try:
            opened = await self._ask(step)
            status = opened.answer.status
        except AttemptFailed as failed:
            status, failure = failed.status, failed.failure
            self._itinerary.failed(step, failure, retry_after=failed.retry_after, retryable=failed.retryable)
            raise
        except BaseException:
            # Whoever gave up, what was asked may be billed; unless another one has answered meanwhile.
            failure, call.deployment = "cancelled", call.deployment or step.deployment
            self._itinerary.failed(step, failure, retryable=False)
            raise
        else:
            self._itinerary.served(step, (time.perf_counter_ns() - begun) / 1e9)
            call.deployment = step.deployment
            return opened
        finally:
            attempt = Attempt(
                deployment=step.deployment.id,
                begun_ns=begun - call.begun,
                duration_ns=time.perf_counter_ns() - begun,
                status=status,
                failure=failure,
                hedge=hedge,
                wait_ns=round(step.wait * 1e9),
            )
            if failure is not None and may_be_billed(call, failure, status):
                most = bound(call, step.deployment, self._rates)
                attempt = structs.replace(attempt, given_up=True, may_cost=most)
            call.attempts.append(attempt)

    async def _ask(self, step: Step) -> Opened:
        """Send the request and wait until the answer has begun: wholly for a plain one, a first event for a stream."""
        call, provider, timeouts = self._call, step.deployment.provider, step.route.settings.timeouts
        wanted, own = call.endpoint.wire, step.deployment.settings.wires
        wire = wanted if own is not None and wanted in own else provider.wire(wanted)
        if wire is None:
            raise AttemptFailed("request", f"{step.deployment.id} does not serve {call.endpoint.wire}", retryable=False)
        model = step.deployment.model or call.model
        outgoing_body = self._outgoing_body(wire, model)
        sent = time.perf_counter_ns()
        try:
            with self._deadlines.within(timeouts.first_token):
                await provider.prepare()
                outgoing = provider.outgoing(wire, model, outgoing_body, stream=call.facts.stream, headers=call.headers)
                if call.snapshot.begin_span is not None:
                    outgoing = with_trace(outgoing, call, call.snapshot.begin_span)
                answer = await self._transport.open(
                    outgoing,
                    connect=timeouts.connect,
                    whole=not call.facts.stream and call.body is not None,
                    patience=timeouts.first_token,
                )
                try:
                    return await self._begun(step, wire, answer)
                except BaseException:
                    await answer.aclose()
                    raise
        except TimeoutError as error:
            raise AttemptFailed("timeout", "the upstream did not begin to answer in time") from error
        except UpstreamFault as fault:
            raise AttemptFailed(fault.failure, fault.message, retryable=fault.failure != "request") from fault
        except PilothouseError as error:
            raise AttemptFailed("auth", "no token could be had for the deployment", retryable=False) from error
        finally:
            call.waited += time.perf_counter_ns() - sent

    def _outgoing_body(self, wire: Wire, model: str) -> bytes:
        try:
            return outgoing_body(self._call, wire, model)
        except ValueError as error:
            raise AttemptFailed("request", str(error), retryable=False) from error

    async def _begun(self, step: Step, wire: Wire, answer: Answer) -> Opened:
        content_type = answer.content_type
        if not 200 <= answer.status < 300:
            raise await refused_by(step, answer)
        if self._call.facts.stream and "json" not in content_type:
            if "html" in content_type:
                raise AttemptFailed("malformed", "the upstream sent a web page", status=answer.status)
            return await self._stream(step, wire, answer, content_type)
        return await self._whole(step, wire, answer, content_type)

    async def _whole(self, step: Step, wire: Wire, answer: Answer, content_type: str) -> Opened:
        body = await read_all(answer, _LONGEST_ANSWER)
        await answer.aclose()
        if len(body) > _LONGEST_ANSWER:
            raise AttemptFailed("malformed", "the upstream's answer does not end", status=answer.status)
        call = self._call
        try:
            whole = whole_answer(call, wire, body, answer)
        except ValueError as error:
            is_error = b'"error"' in body
            refused = step.deployment.provider.refused(answer.status, answer.headers, body)
            words = refused.message if is_error else f"the upstream sent what is no answer: {error}"
            failure: Failure = refused.failure if is_error else "malformed"
            raise AttemptFailed(failure, words, status=answer.status, retryable=refused.retryable) from error
        if whole.usage is not None:
            call.usage, call.usage_source = whole.usage, "provider"
        call.output_bytes = whole.text_bytes
        call.response_model = whole.model
        kind = content_type if wire == call.endpoint.wire else "application/json"
        return Opened(step=step, wire=wire, answer=answer, content_type=kind, body=whole.body, usage=whole.usage)

    async def _stream(self, step: Step, wire: Wire, answer: Answer, content_type: str) -> Opened:
        relay = self._relay(wire)
        opened = Opened(step=step, wire=wire, answer=answer, content_type=content_type, relay=relay)
        if not isinstance(relay, RawRelay):
            opened.content_type = "text/event-stream; charset=utf-8"
        while not (opened.first and (relay.has_begun or relay.is_finished)):
            piece = await answer.read()
            if piece is None:
                raise AttemptFailed("cut", "the upstream ended its answer before it began", status=answer.status)
            try:
                opened.first += relay.feed(piece)
            except ValueError as error:
                raise AttemptFailed(
                    "malformed", f"the upstream sent no stream: {error}", status=answer.status
                ) from error
            if relay.error and not relay.has_begun:
                raise told_error(step, relay.error, answer.status)
        return opened

    def _relay(self, wire: Wire) -> Relay:
        call, target = self._call, self._call.endpoint.wire
        if not has_codec(wire):
            return RawRelay()
        if self._resume is not None:
            self._resume.continue_with(codec(wire))
            return self._resume
        continues = may_continue(call)
        if wire == target and not continues and not is_metered(call):
            return codec(wire).meter(hide_usage=not call.facts.include_usage)
        return TranslatingRelay(
            codec(wire),
            codec(target),
            call_id=call.id,
            model=call.facts.model,
            include_usage=call.facts.include_usage,
            keep_text=continues,
        )


async def _pause(seconds: float) -> int:
    begun = time.perf_counter_ns()
    await asyncio.sleep(seconds)
    return time.perf_counter_ns() - begun
