"""A logged call, made again under another configuration or through another route."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from pilothouse.access.audit.service import AuditService
from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.core.services import Services
from pilothouse.gateway.capture.reading import read_payload
from pilothouse.gateway.capture.sampling import is_recorded, threshold
from pilothouse.gateway.capture.types import Payload
from pilothouse.gateway.capture.writer import FOLDER as CAPTURED
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.dialects.endpoints import endpoint
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import LedgerCall
from pilothouse.gateway.ledger.writer import FOLDER as LEDGER
from pilothouse.gateway.plane.asking.bodies import decode_body
from pilothouse.gateway.plane.intake import find_route
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.preparing import common_price, open_ways, prepare_guards, prepare_routes
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.replay.sending import REPLAY_OF, Sending, Sent
from pilothouse.gateway.replay.texts import answer_text, differences
from pilothouse.gateway.replay.types import Outcome, Replay, ReplayRequest
from pilothouse.gateway.types import LedgerEntry, Wire
from pilothouse.models.rates.card import RateCard
from pilothouse.models.service import ModelService
from pilothouse.safety.detection import redact
from pilothouse.tracing.service import TracingService

_REDACTED: Final = "the request was redacted when it was recorded: this is not the one that the client sent"
_CUT: Final = "only the beginning of the first answer was recorded (gateway.capture.most_bytes)"
_CACHED: Final = "the first answer came out of a cache, where nothing is recorded"
_HEADERS: Final = "most of the client's headers are not recorded: conditions on them hold for none"


class ReplayService:
    """Makes logged calls again.

    Args:
        ledger: What became of calls.
        captured: The folder of payloads.
        config: Versions of the configuration.
        models: The project's connections.
        audit: Where it is noted who did it.
        sending: What sends.
    """

    def __init__(
        self,
        *,
        ledger: LedgerService,
        captured: Path,
        config: ConfigService,
        models: ModelService,
        audit: AuditService,
        sending: Sending,
    ) -> None:
        self._ledger = ledger
        self._captured = captured
        self._config = config
        self._models = models
        self._audit = audit
        self._sending = sending

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        rates = services.get(RateCard)
        return cls(
            ledger=services.get(LedgerService),
            captured=services.state / CAPTURED,
            config=services.get(ConfigService),
            models=services.get(ModelService),
            audit=services.get(AuditService),
            sending=Sending(
                folder=services.state / LEDGER,
                rates=rates,
                price=common_price(rates, time.time_ns),
                tracer=services.get(TracingService).tracer,
            ),
        )

    async def replay(self, wanted: ReplayRequest, *, actor: Actor | None = None) -> Replay:
        """Make a call again and return both.

        The new call asks for no key, is under no limit, is answered by no cache, and nobody's budget pays for it;
        its ledger row bears the use case ``replay`` and the tag ``replay_of``.

        Args:
            wanted: Which call, and how.
            actor: Who wants it, for the audit log; the local user by default.

        Raises:
            NotFound: for an unknown call, version or route, and for a call of which nothing was recorded, with the
                reason.
            Conflict: for a request that was redacted or cut when it was recorded, or whose body is not JSON.
            ConfigError: when the configuration cannot be used any more.
        """
        ready = await asyncio.to_thread(self._prepare, wanted, actor)
        transport = open_ways(self._models)
        try:
            sent = await self._sending.send(
                ready.snapshot,
                transport,
                ready.logged.entry,
                ready.payload.path,
                ready.payload.headers,
                ready.request,
            )
        finally:
            await transport.aclose()
        return _compared(ready, sent)

    def _prepare(self, wanted: ReplayRequest, actor: Actor | None) -> _Ready:
        logged = self._ledger.call(wanted.call_id)
        payload = self._payload(logged.entry)
        if payload.mode == "redacted" and not wanted.redacted_ok:
            raise Conflict(
                f"the request of the call '{wanted.call_id}' was redacted when it was recorded",
                expected="a call recorded while gateway.capture.mode was full",
                fix="send the redacted request all the same: --redacted-ok, or redacted_ok in the API",
            )
        number = wanted.config if wanted.config is not None else self._config.active_number()
        if number is None:
            raise NotFound("no configuration is in force", fix="name a version, or start the gateway once")
        settings = self._config.settings(number)
        table = prepare_routes(settings, self._models)
        snapshot = Snapshot(
            version=str(number),
            settings=settings,
            routes=table.routes,
            open_routes=table.open_routes,
            keys=None,
            limiter=None,
            guards=prepare_guards(table),
            caches={},
        )
        request = _request(payload, logged.entry, wanted.route, snapshot)
        self._sending.rates.warm()
        # Told before it is done: it costs money and shows what was said.
        self._audit.record(
            "call.replay", f"call/{wanted.call_id}", after={"config": number, "route": wanted.route}, actor=actor
        )
        return _Ready(logged=logged, payload=payload, request=request, snapshot=snapshot)

    def _payload(self, entry: LedgerEntry) -> Payload:
        try:
            return read_payload(self._captured, entry.id)
        except NotFound as none:
            reason, fix = self._why_none(entry)
            raise NotFound(f"nothing is recorded of the call '{entry.id}': {reason}", fix=fix) from none

    def _why_none(self, entry: LedgerEntry) -> tuple[str, str | None]:
        """Return why nothing was recorded of a call, and what to do for others."""
        if entry.shadow:
            first = entry.metadata.get(REPLAY_OF, "")
            return "it was a copy, or a replay, of another call", f"replay that one: {first}".removesuffix(": ")
        if entry.status == "refused" and not entry.route:
            return "it was refused before its request was understood", None
        try:
            capture = self._config.settings(int(entry.config)).capture
        except (UserError, ValueError):
            return "its configuration is not known here", None
        if capture.mode == "off":
            fix = "set gateway.capture.mode to full, or redacted, for calls to come"
            return f"gateway.capture.mode was off (version {entry.config})", fix
        if not is_recorded(entry.id, threshold(capture)):
            return f"it was not in the sample (gateway.capture.sample was {capture.sample:g})", None
        return "it has expired, or was dropped because too many were waiting", None


class _Ready(Struct, frozen=True, kw_only=True):
    """All that is needed to make a call again."""

    logged: LedgerCall
    payload: Payload
    request: bytes
    snapshot: Snapshot


def _request(payload: Payload, entry: LedgerEntry, route: str, snapshot: Snapshot) -> bytes:
    """Return the body to be sent, with another route's name where that is wanted."""
    try:
        asked = endpoint("POST", payload.path)
    except Refusal as refusal:
        raise Conflict(f"the call '{entry.id}' cannot be made again: {refusal.message}") from refusal
    if asked.body != "json":
        raise Conflict(f"the call '{entry.id}' cannot be made again: only requests in JSON can, not {payload.path}")
    raw = payload.request.encode()
    try:
        body = decode_body(raw)
        named: Any = msgspec.json.decode(body["model"]) if "model" in body else ""
    except ValueError as error:
        words = "only the beginning of its request was recorded" if payload.truncated else f"its request: {error}"
        raise Conflict(
            f"the call '{entry.id}' cannot be made again: {words}",
            fix="raise gateway.capture.most_bytes for calls to come" if payload.truncated else None,
        ) from error
    model = route or (named if isinstance(named, str) else "")
    if not model:
        # The address named it.
        model = entry.route.removesuffix("*") + entry.model if entry.route.endswith("/*") else entry.route
    try:
        find_route(snapshot, model)
    except Refusal as refusal:
        raise NotFound(
            refusal.message, where=f"version {snapshot.version} of the gateway's configuration", fix="name a --route"
        ) from refusal
    return raw if model == named else msgspec.json.encode({**body, "model": msgspec.Raw(msgspec.json.encode(model))})


def _compared(ready: _Ready, sent: Sent) -> Replay:
    payload, logged = ready.payload, ready.logged
    wire: Wire = endpoint("POST", payload.path).wire
    old, new = answer_text(wire, payload.answer.encode()), answer_text(wire, sent.body)
    notes: list[str] = []
    if payload.mode == "redacted":
        notes.append(_REDACTED)
        new = redact(new)[0] if new is not None else None
    if payload.truncated:
        notes.append(_CUT)
    if logged.entry.cache in ("exact", "semantic"):
        notes.append(_CACHED)
    route = ready.snapshot.routes.get(sent.entry.route)
    if route is not None and any(item.settings.when for item in route.deployments):
        notes.append(_HEADERS)
    if old is None or new is None:
        notes.append("the texts of the two answers cannot be compared: one of them has none that can be read")
    same = old == new if old is not None and new is not None else None
    return Replay(
        before=_outcome(logged.entry, logged.cost, logged.price, old),
        after=_outcome(sent.entry, sent.entry.cost, sent.entry.price, new),
        same=same,
        diff=differences(old, new) if old is not None and new is not None and not same else (),
        notes=tuple(notes),
    )


def _outcome(entry: LedgerEntry, cost: int | None, price: str | None, text: str | None) -> Outcome:
    return Outcome(
        call=entry.id,
        config=entry.config,
        route=entry.route,
        experiment=entry.experiment,
        arm=entry.arm,
        deployment=entry.deployment,
        provider=entry.provider,
        model=entry.model,
        response_model=entry.response_model,
        attempts=entry.attempts,
        cache=entry.cache if entry.cache != "miss" else "",
        status=entry.status,
        http_status=entry.http_status,
        code=entry.code,
        usage=entry.usage,
        cost=cost,
        price=price,
        duration_ns=entry.duration_ns,
        first_ns=entry.first_ns,
        text=text,
    )
