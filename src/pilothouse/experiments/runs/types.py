"""Nouns of a run: what was asked, what happened, and one row of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.flows.results import ErrorInfo, NodeResult
from pilothouse.models.types import Usage

RunStatus = Literal["created", "running", "completed", "completed_with_errors", "failed", "cancelled", "interrupted"]
"""``completed`` = every row; ``completed_with_errors`` = some rows failed; ``failed`` = all rows, or the run itself."""

RowStatus = Literal["completed", "failed", "missing"]
"""``missing`` = the source run has no completed row to feed this line with."""

Isolation = Literal["none", "process"]
"""``none`` = rows run in this process; ``process`` = in worker processes, which are killed when a row hangs."""

NO_USAGE = Usage()

RowOrder = Literal["input", "completion"]

FINISHED: frozenset[RunStatus] = frozenset({"completed", "completed_with_errors", "failed", "cancelled", "interrupted"})


class RowSample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows drawn at random, in an order that the seed decides: a larger sample holds every smaller one.

    Attributes:
        size: Units: rows, or clusters where ``cluster`` is given.
        seed: Seed of the order.
        cluster: The column of the data whose equal values are drawn together.
    """

    size: int
    seed: int = 7
    cluster: str | None = None


class RunSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user asks for: a flow over rows.

    Attributes:
        flow: Path of the flow's folder or file, relative to the project.
        data: A data file or folder, or `dataset:name[:version|@alias]`.
        id_column: The column of a data file that names its rows; their place does, when absent.
        source_run: Name, id or id prefix of a run whose outputs are the input (an evaluation).
        column_mapping: Flow input -> `${data.x}`, `${run.inputs.x}`, `${run.outputs.x}` or a literal.
        variants: Node -> variant id; nodes not named run their default variant.
        connections: Node -> {parameter: value} that replaces the node's connection, deployment or another input, or its
            file (``prompt``, ``source``); under ``init``, arguments of the class of a flex flow.
        environment_variables: Set for the flow's code, over those that the flow names.
        environment_file: A `.env` file whose variables are set below those; read by each attempt and never recorded.
        name: A unique name; made from flow and time when absent.
        display_name: A name for people.
        description: Free text.
        tags: Free pairs.
        use_cache: Whether unchanged nodes may answer from the node cache.
        concurrency: Rows in flight; chosen from the kind of flow when absent. With isolation, worker processes; on
            Ray, rows in flight over all workers.
        max_failures: Failed rows that are still accepted; beyond it the command ends with code 1.
        repeat: Times every row is run, at least 1.
        timeout: Seconds a row may take; `flows.line_timeout` when absent.
        isolation: Where rows run; `runs.isolation` when absent.
        compute: `local`, `ray`, `auto`, `ray://host:port` or `host:port`; `runs.compute` when absent.
        workers: Worker processes, on Ray or with isolation; `runs.workers` when absent.
        limit: Only the first rows of the data; all of them when absent.
        sample: Only these rows, drawn at random among the others; they run in the data's order.
        experiment: The experiment that this run is a part of.
    """

    flow: str
    data: str | None = None
    id_column: str | None = None
    source_run: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment_variables: dict[str, str] = field(default_factory=dict)
    environment_file: str | None = None
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    use_cache: bool = True
    concurrency: int | None = None
    max_failures: int = 0
    repeat: int = 1
    timeout: float | None = None
    isolation: Isolation | None = None
    compute: str | None = None
    workers: int | None = None
    limit: int | None = None
    sample: RowSample | None = None
    experiment: str | None = None


class Place(Struct, frozen=True, kw_only=True):
    """Where the rows of a run are to run from now on; what is None stays as it was. See `RunSpec`."""

    isolation: Isolation | None = None
    compute: str | None = None
    workers: int | None = None


UNMOVED = Place()


class FlowRef(Struct, frozen=True, kw_only=True):
    """The flow as it was when the run began; ``version`` is its reference in the registry."""

    name: str
    path: str
    digest: str
    version: str | None = None


class DataRef(Struct, frozen=True, kw_only=True):
    """The data as it was when the run began.

    Attributes:
        name: What it is called.
        source: What `DatasetService.open` takes.
        digest: Of its rows.
        rows: How many.
        id_column: The column that names them; None = their place.
        version: `dataset:name:number` of a dataset, `data-file/name:number` of other files, `datasets/name:number` of
            several datasets that were put together.
        parts: Those datasets; empty for one.
    """

    name: str
    source: str
    digest: str
    rows: int
    id_column: str | None = None
    version: str | None = None
    parts: tuple[DataRef, ...] = ()


class Counts(Struct, frozen=True, kw_only=True):
    """Rows by outcome.

    ``total`` = completed + failed + missing once the run has ended; None while it is not known.
    ``cached`` counts completed rows that were answered from the cache and spent no tokens.
    """

    total: int | None = None
    completed: int = 0
    failed: int = 0
    missing: int = 0
    cached: int = 0

    @property
    def done(self) -> int:
        """Rows that have an outcome."""
        return self.completed + self.failed + self.missing

    @property
    def unsuccessful(self) -> int:
        """Rows without an answer."""
        return self.failed + self.missing


class CacheUse(Struct, frozen=True, kw_only=True):
    """What the node cache did for a run; ``errors`` are its own failures, which never fail a row."""

    hits: int = 0
    misses: int = 0
    errors: int = 0


class Attempt(Struct, frozen=True, kw_only=True):
    """One execution of a run: the first, or a resumption.

    Attributes:
        number: 1 for the first.
        started_at: When it began.
        ended_at: When it ended; None when the process was killed.
        status: How it ended.
        rows: Rows given an outcome by it.
        duration: Seconds by a monotonic clock.
        notes: What was special about it: changes that were accepted by force.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    status: RunStatus = "running"
    rows: int = 0
    duration: float = 0.0
    notes: tuple[str, ...] = ()


class Totals(Struct, frozen=True, kw_only=True):
    """Sums over the latest outcome of every row.

    Attributes:
        usage: Tokens spent.
        cached_usage: Tokens that answers from the cache once cost and that were not spent again.
        cost: US dollars spent on nodes whose price is known; None when there was none.
        cached_cost: US dollars that answers from the cache once cost, where known.
        unpriced: Model nodes whose price is not known; while it is above 0, ``cost`` is a lower bound.
        row_seconds: Sum of the rows' durations.
    """

    usage: Usage = NO_USAGE
    cached_usage: Usage = NO_USAGE
    cost: Decimal | None = None
    cached_cost: Decimal | None = None
    unpriced: int = 0
    row_seconds: float = 0.0


class Run(Struct, frozen=True, kw_only=True):
    """The record of a run: enough to open it row by row and to run it again.

    Attributes:
        id: 26 characters, sorted by time.
        name: Unique name.
        status: See `RunStatus`.
        spec: What was asked, as asked.
        flow: The flow's snapshot.
        data: The data's snapshot; None when the rows come from a source run alone.
        source_run: Id of the run it judges.
        column_mapping: The mapping in effect, defaults filled in.
        variants: The variant of every node that has variants, defaults filled in.
        repeat: Lines per row of the data: the spec's repeat times that of the source run.
        counts: Rows by outcome.
        totals: Tokens and cost.
        cache: Node cache hits and misses.
        metrics: What aggregation nodes logged.
        notes: Things counted and worth knowing (bypassed outputs, unusable cache, rows left out).
        error: Why the run, or its aggregation, failed.
        attempts: Every execution, the latest last.
        resumed_from: Id of the run whose completed rows it kept.
        archived: Whether lists leave it out.
        environment: Package version, Python, platform, and where the rows of the latest attempt ran.
        created_by: The actor's name.
        created_at: When it was recorded.
    """

    id: str
    name: str
    status: RunStatus
    spec: RunSpec
    flow: FlowRef
    data: DataRef | None = None
    source_run: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    repeat: int = 1
    counts: Counts = Counts()
    totals: Totals = Totals()
    cache: CacheUse = CacheUse()
    metrics: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    attempts: tuple[Attempt, ...] = ()
    resumed_from: str | None = None
    archived: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    created_by: str
    created_at: datetime

    @property
    def duration(self) -> float:
        """Seconds of all attempts together."""
        return sum(attempt.duration for attempt in self.attempts)

    @property
    def within_limit(self) -> bool:
        """Whether the run ended well: completed, or with no more failures than its spec accepts."""
        if self.status == "completed":
            return True
        is_partial = self.status == "completed_with_errors" and self.error is None
        return is_partial and self.counts.unsuccessful <= self.spec.max_failures


class RunRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a run and all that happened to it.

    Attributes:
        line_id: Id of the dataset's row; joins rows of different runs.
        number: 0-based line in the data.
        repeat: 0-based repetition.
        status: See `RowStatus`.
        inputs: The flow's inputs.
        outputs: The flow's outputs; empty unless completed.
        nodes: What every node did.
        usage: Tokens spent on it.
        cached_usage: Tokens that its answers from the cache once cost; ``usage + cached_usage`` is what the row takes.
        cost: US dollars spent on its nodes whose price is known; None when there was none.
        cached_cost: US dollars that its answers from the cache once cost, where known.
        unpriced: Its model nodes whose price is not known.
        cached: Whether nodes were answered from the cache and no tokens were spent; its duration says nothing then.
        duration: Seconds.
        error: Why it failed.
        trace_id: Its trace.
        attempt: The run's attempt that made it; 0 = kept from the run that this one resumes.
        ended_at: Epoch seconds.
        notes: Warnings of the flow.
    """

    line_id: str
    number: int
    repeat: int = 0
    status: RowStatus
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[NodeResult, ...] = ()
    usage: Usage = NO_USAGE
    cached_usage: Usage = NO_USAGE
    cost: Decimal | None = None
    cached_cost: Decimal | None = None
    unpriced: int = 0
    cached: bool = False
    duration: float = 0.0
    error: ErrorInfo | None = None
    trace_id: str | None = None
    attempt: int = 1
    ended_at: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the row in its run."""
        return self.line_id, self.repeat


class Progress(Struct, frozen=True, kw_only=True):
    """A glance at a run in motion, given to a callback at most ten times a second.

    Attributes:
        run: Name of the run.
        counts: Rows by outcome so far, earlier attempts included.
        tokens: Tokens of the rows so far.
        rows_per_second: Over the last seconds of this attempt.
        tokens_per_second: Over the last seconds of this attempt.
        eta: Seconds that are left at this rate; None while it cannot be told.
        elapsed: Seconds since the attempt began.
        in_flight: Rows begun and not ended.
        phase: What is going on.
    """

    run: str
    counts: Counts
    tokens: int = 0
    rows_per_second: float = 0.0
    tokens_per_second: float = 0.0
    eta: float | None = None
    elapsed: float = 0.0
    in_flight: int = 0
    phase: Literal["rows", "stopping", "aggregation", "done"] = "rows"
