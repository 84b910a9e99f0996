"""Nouns of a call that is made again."""

from __future__ import annotations

from msgspec import Struct

from pilothouse.gateway.types import Attempt, Status
from pilothouse.models.types import Usage


class ReplayRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which call is made again, and how.

    Attributes:
        call_id: The call, as the header `x-pilothouse-call` named it.
        config: Version of the configuration that decides; null for the one in force.
        route: What is asked for instead of what the call asked for; empty for the same.
        redacted_ok: Whether a request may be sent that was redacted when it was recorded, so that it is another one.
    """

    call_id: str
    config: int | None = None
    route: str = ""
    redacted_ok: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a call.

    Attributes:
        call: Its id.
        config: Version of the configuration that decided.
        route: What was asked for.
        experiment: In traffic; empty for none.
        arm: Of the experiment.
        deployment: Who served it; empty for nobody.
        provider: By OpenTelemetry's name.
        model: As the deployment names it.
        response_model: As the answer names it.
        attempts: The routing trace.
        cache: ``exact`` or ``semantic`` for an answer that was given again.
        status: How it ended.
        http_status: What the client got.
        code: The stable error code; empty for none.
        usage: None where it is not known.
        cost: Nano-dollars, by the latest re-rating; None where it is not known.
        price: Which price it follows from.
        duration_ns: Until the last byte of the answer.
        first_ns: Until the first byte of the answer's body; 0 where none was sent.
        text: Of the answer; None where it has none, or none was recorded.
    """

    call: str
    config: str
    route: str
    experiment: str
    arm: str
    deployment: str
    provider: str
    model: str
    response_model: str
    attempts: tuple[Attempt, ...]
    cache: str
    status: Status
    http_status: int
    code: str
    usage: Usage | None
    cost: int | None
    price: str | None
    duration_ns: int
    first_ns: int
    text: str | None


class Replay(Struct, frozen=True, kw_only=True):
    """A call and its repetition, side by side.

    Attributes:
        before: The logged call.
        after: The same request, made again.
        same: Whether the texts of both answers are equal; None where one of them has no text.
        diff: The texts as a unified diff, line by line; empty where they are equal or cannot be compared.
        notes: What to keep in mind.
    """

    before: Outcome
    after: Outcome
    same: bool | None
    diff: tuple[str, ...]
    notes: tuple[str, ...]
