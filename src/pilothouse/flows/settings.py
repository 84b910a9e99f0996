"""The section `flows` of pilothouse.yaml."""

from __future__ import annotations

from msgspec import Struct


class FlowSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How flows are run.

    Attributes:
        default_connection: Connection of llm nodes that name none.
        line_timeout: Seconds a line may take; prompt flow's PF_LINE_TIMEOUT_SEC overrides it.
        node_timeout: Seconds a node may take; no limit of its own when absent.
        threads: Threads for sync tools at most; started as needed.
        capture: Whether inputs and outputs are written into spans.
        sandbox: Whether templates run in Jinja's sandbox; PF_USE_SANDBOX_FOR_JINJA overrides it.
    """

    default_connection: str | None = None
    line_timeout: float | None = 600.0
    node_timeout: float | None = None
    threads: int = 128
    capture: bool = True
    sandbox: bool = True
