"""The section `tracing` of `pilothouse.yaml`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_Size = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$")]


class TracingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How spans are captured, kept and read.

    Attributes:
        enabled: Record spans at all; ``OTEL_SDK_DISABLED=true`` in the environment also turns it off.
        capture_content: Record prompts, answers, arguments and results; without it they are withheld as spans are
            written, whoever made them.
        service_name: ``service.name`` of this project's spans, unless ``OTEL_SERVICE_NAME`` says another.
        flush_ms: How long a finished span waits in memory at most before it is written and synced, in milliseconds.
        buffer_mb: Memory for finished spans that are not yet written, in megabytes; when it is full, the code that
            ends a span waits for the disk.
        segment_mb: Size at which a process goes on in a new segment file, in megabytes.
        memory_limit: Memory that the query engine may use.
        wait_seconds: How long a command waits for another process that holds the span store.
        seal_after_days: Days (UTC) that stay in the database after they are over; older ones are sealed to Parquet.
        retention_days: Days that spans are kept; None = for ever.
    """

    enabled: bool = True
    capture_content: bool = True
    service_name: str = "pilothouse"
    flush_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    buffer_mb: Annotated[int, Meta(ge=1, le=4096)] = 8
    segment_mb: Annotated[int, Meta(ge=1, le=4096)] = 64
    memory_limit: _Size = "512MB"
    wait_seconds: Annotated[float, Meta(ge=0)] = 5.0
    seal_after_days: Annotated[int, Meta(ge=0)] = 2
    retention_days: Annotated[int, Meta(ge=1)] | None = None
