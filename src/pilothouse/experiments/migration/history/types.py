"""Nouns of a recorded run: its rows, the nodes of each row, and what its own books say about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.models.types import Usage

NodeState = Literal["completed", "failed", "bypassed"]


class RecordedNode(Struct, frozen=True, kw_only=True):
    """What a node did.

    Attributes:
        state: How it ended.
        inputs: What it was given; None where nobody wrote it down.
        output: What it gave.
        error: Why it failed.
    """

    state: NodeState
    inputs: dict[str, Any] | None = None
    output: Any = None
    error: str = ""


class RecordedRow(Struct, frozen=True, kw_only=True):
    """One row.

    Attributes:
        id: What it is joined by: prompt flow's line number as text, or the id of a row of ours.
        state: ``missing`` when its inputs are there and nothing else.
        inputs: The flow's inputs.
        outputs: The flow's outputs; empty unless completed.
        nodes: By name; those that never began are absent.
        error: Why it failed.
        usage: Tokens that prompt flow counted; with its tracing off it counted none.
        seconds: How long it took.
        ended_at: When it ended; None where nobody wrote it down.
    """

    id: str
    state: Literal["completed", "failed", "missing"]
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, RecordedNode] = field(default_factory=dict)
    error: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    ended_at: datetime | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What the books say about a run; empty where they are not at hand.

    Attributes:
        name: Its name.
        status: In prompt flow's words.
        display_name: A name for people.
        description: Free text.
        tags: Free pairs.
        flow: Path of the flow.
        data: Path of the data.
        column_mapping: As given.
        variant: ``${node.variant_id}``, or empty.
        source_run: The run whose outputs it was given.
        resumed_from: The run whose rows it took over.
        init: Arguments of the class of a flex flow.
        folder: Where its files are.
        created_at: When it was made.
        archived: Whether it was put away.
    """

    name: str
    status: str = ""
    display_name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    flow: str = ""
    data: str = ""
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variant: str = ""
    source_run: str = ""
    resumed_from: str = ""
    init: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    created_at: datetime | None = None
    archived: bool = False


class Recording(Struct, frozen=True, kw_only=True):
    """A run as it was recorded.

    Attributes:
        facts: What the books say.
        where: The folder, or the name of a run of ours.
        made_by: Whose run it is.
        rows: In the order of their lines.
        aggregation: What nodes did that ran once, after all rows.
        metrics: By name.
        notes: What is not as it should be in the record.
    """

    facts: Facts
    where: str
    made_by: Literal["prompt flow", "pilothouse"]
    rows: tuple[RecordedRow, ...]
    aggregation: dict[str, RecordedNode] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def completed(self) -> tuple[RecordedRow, ...]:
        """The rows with an answer."""
        return tuple(row for row in self.rows if row.state == "completed")
