"""Nouns of an experiment: what is asked, its variants, its plan and its record."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.evaluation.sequential.types import Sequential
from pilothouse.evaluation.slices.types import Slicing
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.rules import Gate

Design = Literal["grid", "one-factor", "sample"]
"""``grid`` = every combination; ``one-factor`` = the defaults, then one change at a time; ``sample`` = random draws."""

ExperimentStatus = Literal["running", "interrupted", "completed", "completed_with_errors", "failed"]
"""``failed`` = no row of any variant succeeded; ``completed_with_errors`` = some rows failed."""


class Variant(Struct, frozen=True, kw_only=True):
    """One arm of an experiment.

    Attributes:
        name: Short and unique in the experiment; what people read and type.
        choices: Node -> variant id; nodes not named run their default variant.
        settings: Path -> value that stands in place of the file's: ``node.temperature``, ``inputs.top_k``, ``init.x``.
    """

    name: str
    choices: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """What it sets: node -> variant id, and path -> value; a path has a dot, the name of a node has none."""
        return {**self.choices, **self.settings}


class EvaluatorUse(Struct, frozen=True, kw_only=True):
    """An evaluator and where its arguments come from.

    Attributes:
        spec: The evaluator as evaluation knows it; its paths are those of `Experiment`.
        column_mapping: Argument -> ``${run.outputs.x}``, ``${run.inputs.x}``, ``${data.x}`` or a literal.
    """

    spec: EvaluatorSpec
    column_mapping: dict[str, Any] = field(default_factory=dict)


class Experiment(Struct, frozen=True, kw_only=True):
    """An experiment that can run: a file, read and checked against its flow.

    Paths are relative to the project where they lie inside it, absolute elsewhere.

    Attributes:
        name: What people call it.
        description: Why it is made.
        path: The experiment file; None for a comparison of runs that no file asked for.
        flow: The flow's folder or file.
        data: A data file or folder, ``dataset:name[:version|@alias]``, or several of them as one text.
        datasets: Their names, where there are several; every row then has its own in the column ``dataset``.
        id_column: The column of a data file that names its rows; their place does when absent.
        column_mapping: Flow input -> ``${data.x}`` or a literal; empty = inputs by their names.
        variants: The arms, in the order they run.
        baseline: Name of the arm that the others are compared with.
        design: How the levels of several axes were combined.
        evaluators: What judges every row.
        cluster: The column of the data that rows which are not independent share: a document, a user.
        primary: The metric that decides; the first metric of the first evaluator when absent.
        alpha: Chance of a false difference accepted over the whole family of comparisons.
        resamples: Bootstrap resamples behind an interval.
        seed: Seed of the resampling; the same seed gives the same report.
        concurrency: Rows in flight; chosen from the kind of flow when absent.
        repeats: Times every row is run.
        limit: Only the first rows of the data; None = all of them.
        compute: Where rows are computed, as `RunSpec` says it; no part of what the experiment finds.
        workers: Worker processes; no part of what it finds either.
        slices: Parts of the data that are looked at by themselves.
        gate: What has to hold before a variant may be used; no part of what the experiment finds.
        sequential: How it looks at its rows while it runs, and stops; None = all rows are compared once.
    """

    name: str
    description: str = ""
    path: str | None = None
    flow: str
    data: str
    datasets: tuple[str, ...] = ()
    id_column: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...]
    baseline: str
    design: Design = "grid"
    evaluators: tuple[EvaluatorUse, ...]
    cluster: str | None = None
    primary: str | None = None
    alpha: float = 0.05
    resamples: int = 5000
    seed: int = 7
    concurrency: int | None = None
    repeats: int = 1
    limit: int | None = None
    compute: str | None = None
    workers: int | None = None
    slices: Slicing | None = None
    gate: Gate | None = None
    sequential: Sequential | None = None


class ExperimentRun(Struct, frozen=True, kw_only=True):
    """One arm of a recorded experiment and the name of the run that holds its rows."""

    variant: Variant
    run: str


class ExperimentRecord(Struct, frozen=True, kw_only=True):
    """An experiment that was run: the same content is the same record, run again or continued.

    Attributes:
        id: 26 characters, sorted by time.
        name: The experiment's name.
        number: Its version under that name, from the registry.
        digest: Of the definition, the flow, the data and the evaluators.
        status: See `ExperimentStatus`.
        definition: The experiment as it was read.
        runs: The arms that have begun, in order.
        comparison: Digest of the blob with the comparison; None until there is one.
        report: Folder of the reports, relative to the project; None until they are written.
        created_by: The actor's name.
        created_at: When it was first run.
        updated_at: When it last changed.
    """

    id: str
    name: str
    number: int
    digest: str
    status: ExperimentStatus
    definition: Experiment
    runs: tuple[ExperimentRun, ...] = ()
    comparison: str | None = None
    report: str | None = None
    created_by: str
    created_at: datetime
    updated_at: datetime

    @property
    def ref(self) -> str:
        """What people type: ``name:number``."""
        return f"{self.name}:{self.number}"
