"""One call while it lasts: what is known of it, gathered step by step and told to the ledger at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from pilothouse.access.keys.ring import KeyEntry
from pilothouse.core.ids import new_id
from pilothouse.gateway.dialects.endpoints import Endpoint
from pilothouse.gateway.dialects.facts import RequestFacts
from pilothouse.gateway.limits.types import Reservation
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.routing.types import Deployment, Route
from pilothouse.gateway.types import Attempt, Body, Status, Tenant
from pilothouse.models.types import Usage
from pilothouse.tracing.completed import Begun

NOBODY = Tenant()


class Call:
    """What is known of one call so far.

    Attributes:
        id: Unique; the client reads it in `x-pilothouse-call`.
        at_ns: When it arrived, nanoseconds since 1970.
        begun: The same by the monotonic clock, nanoseconds.
        waited: Nanoseconds spent waiting for upstreams and for the client's bytes: not the gateway's own.
        endpoint: What is asked, in which form.
        headers: The client's, lower case.
        snapshot: What decides.
        key: The virtual key; None where the gateway is open.
        tenant: Who pays.
        raw: The request's body; after the guards, as they left it.
        body: The body decoded one level deep; None for a body that is not JSON.
        facts: What routing needs of it.
        route: What is asked for.
        model: The model's name there where the route leaves it to the client; empty otherwise.
    """

    __slots__ = (
        "arm",
        "at_ns",
        "attempts",
        "begun",
        "body",
        "cache",
        "code",
        "cost",
        "deltas",
        "deployment",
        "endpoint",
        "experiment",
        "facts",
        "findings",
        "first",
        "headers",
        "http_status",
        "id",
        "incidents",
        "key",
        "max_output",
        "model",
        "output_bytes",
        "price",
        "raw",
        "reservation",
        "response_model",
        "route",
        "shadow",
        "snapshot",
        "span",
        "status",
        "tenant",
        "trace_id",
        "usage",
        "usage_source",
        "waited",
    )

    def __init__(self, endpoint: Endpoint, headers: Mapping[str, str], snapshot: Snapshot) -> None:
        self.id = new_id()
        self.at_ns = time.time_ns()
        self.begun = time.perf_counter_ns()
        self.waited = 0
        self.endpoint = endpoint
        self.headers = headers
        self.snapshot = snapshot
        self.key: KeyEntry | None = None
        self.tenant = NOBODY
        self.raw = b""
        self.body: Body | None = None
        self.facts = _NOTHING
        self.route: Route | None = None
        self.model = ""
        self.max_output: int | None = None
        self.reservation: Reservation | None = None
        self.attempts: list[Attempt] = []
        self.deployment: Deployment | None = None
        self.experiment = ""
        self.arm = ""
        self.cache: Literal["", "miss", "exact", "semantic"] = ""
        self.shadow = False
        self.first = 0
        self.status: Status = "ok"
        self.http_status = 200
        self.code = ""
        self.usage: Usage | None = None
        self.usage_source: Literal["provider", "estimated", "none"] = "none"
        self.output_bytes = 0
        self.deltas = 0
        self.cost: int | None = None
        self.price: str | None = None
        self.response_model = ""
        self.trace_id = ""
        self.span: Begun | None = None
        self.incidents: list[str] = []
        self.findings: dict[str, int] = {}

    @property
    def overhead_ns(self) -> int:
        """Nanoseconds spent in the gateway so far."""
        return time.perf_counter_ns() - self.begun - self.waited


_NOTHING = RequestFacts(model="")


def may_continue(call: Call) -> bool:
    """Tell whether an answer of this call may be continued by somebody else."""
    route = call.route
    return route is not None and route.settings.continuation and call.endpoint.operation == "chat" and call.facts.n == 1


def is_metered(call: Call) -> bool:
    """Tell whether limits are kept inside the answer, because nobody said how long it may be."""
    is_bounded = call.max_output is not None or call.facts.max_output_tokens is not None
    return call.reservation is not None and call.reservation.tokens > 0 and not is_bounded
