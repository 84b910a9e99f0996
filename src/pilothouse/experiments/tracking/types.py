"""Nouns of tracking: what is told of an experiment, wherever it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from pilothouse.core.canonical import digest_bytes
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.exports.records import Record
from pilothouse.experiments.runs.types import DataRef
from pilothouse.flows.types import Flow


class Prompt(Struct, frozen=True, kw_only=True):
    """The text of one prompt of a flow: ``name`` = flow, node and variant."""

    name: str
    node: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return digest_bytes(self.text.encode("utf-8", "surrogatepass"))


class TrackedArm(Struct, frozen=True, kw_only=True):
    """One arm as trackers take it.

    Attributes:
        name: The variant's name.
        run: Name of its run.
        params: What was set; texts.
        metrics: Finite figures: ``accuracy``, ``accuracy.low``, ``accuracy.high``, ``accuracy.n`` and so on.
        tags: What else is worth knowing.
        data: The data it ran over.
        prompts: Its prompts; empty where the flow has changed since.
        flow: The flow with the variant in place; None where it has changed since.
    """

    name: str
    run: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    data: DataRef | None = None
    prompts: tuple[Prompt, ...] = ()
    flow: Flow | None = None


class Tracked(Struct, frozen=True, kw_only=True):
    """An experiment as trackers take it.

    Attributes:
        name: The experiment's name.
        ref: ``name:number``.
        digest: Of its content: what carries the same digest is the same experiment.
        user: Who ran it first.
        at: When it last changed.
        found: The comparison.
        params: What holds for all arms.
        metrics: Differences from the baseline with their bounds and p values.
        tags: Verdicts and facts.
        arms: The arms in the order they ran.
        records: The records of every row and arm, from the first at each call.
        files: Report files to be kept with it.
        notes: What could not be told.
    """

    name: str
    ref: str
    digest: str
    user: str
    at: datetime
    found: ExperimentComparison
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    arms: tuple[TrackedArm, ...]
    records: Callable[[], Iterator[Record]]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


class Logged(Struct, frozen=True, kw_only=True):
    """What a tracker was told.

    Attributes:
        target: Where, as a person finds it: an address or a folder.
        runs: Runs that were written, the experiment's own included.
        updated: Of them, runs that were there already.
        rows: Rows in tables.
        prompts: Prompt versions that hold its prompts.
        models: Models that hold its flows.
        notes: What was left out or differs, and why.
    """

    target: str
    runs: int
    updated: int = 0
    rows: int = 0
    prompts: int = 0
    models: int = 0
    notes: tuple[str, ...] = ()


class Tracker(Protocol):
    """Where experiments can be logged."""

    def log(self, tracked: Tracked, group: str | None = None) -> Logged:
        """Log an experiment under the name ``group``, its own by default; what is there already is updated.

        Raises:
            UserError: the target cannot be used so.
            StorageError: it does not answer, or refuses.
        """
        ...
