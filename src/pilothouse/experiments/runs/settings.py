"""The section `runs` of pilothouse.yaml."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from pilothouse.experiments.runs.types import Isolation


class RunSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How batches behave when a run does not say otherwise.

    Attributes:
        concurrency: Rows in flight for flows that wait on models; the models' limiter adapts below it.
        threads: Rows in flight for flows of plain Python functions.
        isolation: Where rows run when the run does not say; prompt flow's PF_BATCH_METHOD asks for processes too.
        compute: Where rows are computed when the run does not say: `local`, `ray`, `auto`, `ray://host:port` or
            `host:port`.
        compute_wait: Seconds in which Ray has to find a free processor for a worker.
        workers: Worker processes of a run. When absent, with isolation: prompt flow's PF_WORKER_COUNT, else one for
            each processor and at least 4; on Ray: one for each processor.
        grace: Seconds that rows in flight may go on after the first Ctrl-C.
        flush_interval: Seconds between two writes of the journal; a killed process loses at most that much work.
        flush_rows: Rows that are written at once without waiting for the interval.
        cache_bytes: Size at which the node cache drops what was used longest ago.
        cache_days: Days after which an unused entry of the node cache is dropped.
    """

    concurrency: int = 64
    threads: int = 16
    isolation: Isolation | None = None
    compute: str = "local"
    compute_wait: Annotated[float, Meta(gt=0)] = 60.0
    workers: Annotated[int, Meta(ge=1)] | None = None
    grace: float = 30.0
    flush_interval: float = 0.05
    flush_rows: int = 1000
    cache_bytes: int = 1 << 30
    cache_days: int = 90
