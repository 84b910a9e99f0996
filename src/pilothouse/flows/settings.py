"""The section `flows` of pilothouse.yaml."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]


class ServingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a served flow.

    Attributes:
        concurrency: Requests that are worked on at once.
        queue: Requests that may wait for a place; the next one is answered with 503.
        queue_timeout: Seconds that a request waits for a place at most.
        body_limit: Bytes of a request's body at most.
        head_timeout: Seconds in which the head of a request must have come.
        body_timeout: Seconds in which its body must have come.
        send_timeout: Seconds that a client may take to receive what is sent before it counts as gone.
        drain: Seconds that requests in flight have to end when the server is asked to.
    """

    concurrency: _Count = 256
    queue: Annotated[int, Meta(ge=0)] = 256
    queue_timeout: _Seconds = 60.0
    body_limit: _Count = 32 << 20
    head_timeout: _Seconds = 15.0
    body_timeout: _Seconds = 60.0
    send_timeout: _Seconds = 60.0
    drain: _Seconds = 600.0


class FlowSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How flows are run.

    Attributes:
        default_connection: Connection of llm nodes that name none.
        line_timeout: Seconds a line may take; prompt flow's PF_LINE_TIMEOUT_SEC overrides it.
        node_timeout: Seconds a node may take; no limit of its own when absent.
        threads: Threads for sync tools at most; started as needed.
        capture: Whether inputs and outputs are written into spans.
        sandbox: Whether templates run in Jinja's sandbox; PF_USE_SANDBOX_FOR_JINJA overrides it.
        serving: Limits of `flow serve`.
    """

    default_connection: str | None = None
    line_timeout: float | None = 600.0
    node_timeout: float | None = None
    threads: int = 128
    capture: bool = True
    sandbox: bool = True
    serving: ServingSettings = ServingSettings()
