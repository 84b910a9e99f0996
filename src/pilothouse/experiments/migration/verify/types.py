"""Nouns of a verification: what was asked, what became of each row and metric, and the whole."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from pilothouse.evaluation.types import Interval

Verdict = Literal[
    "equal", "alike", "differs", "failed there", "failed here", "failed in both", "missing there", "missing here"
]
"""``alike`` = equal by the rules that were asked for; ``there`` = the record, ``here`` = the replay."""

FINE: Final[tuple[Verdict, ...]] = ("equal", "alike", "failed in both")


class Rules(Struct, frozen=True, kw_only=True):
    """When two values count as alike, though they are not equal.

    Attributes:
        tolerance: Numbers may differ by this share of the larger one, or by this much when both are below 1.
        ignore_space: Whether runs of white space in texts count as one space, and none at their ends.
        similar: Texts whose similarity (0 to 1) is at least this count as alike; None = they do not.
    """

    tolerance: float = 1e-9
    ignore_space: bool = False
    similar: float | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """One place where record and replay differ.

    Attributes:
        path: Where: ``$.label`` or ``$.items[2].score``.
        there: The recorded value, shortened around what differs.
        here: The replay's, likewise.
        alike: Whether the rules let it pass.
    """

    path: str
    there: str
    here: str
    alike: bool = False


class RowReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one row.

    Attributes:
        id: The row, as the record names it.
        verdict: See `Verdict`.
        differences: Where its outputs differ.
        node: The first node of the flow whose output differs.
        explanation: Why the record itself is wrong; empty where nothing is known.
        there: The recorded error.
        here: The replay's error.
        by_model: Whether a model that was really asked stands before the difference.
    """

    id: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    node: str = ""
    explanation: str = ""
    there: str = ""
    here: str = ""
    by_model: bool = False

    @property
    def is_fine(self) -> bool:
        """Whether record and replay say the same."""
        return self.verdict in FINE


class MetricReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one metric; a side that lacks it has None."""

    name: str
    verdict: Literal["equal", "alike", "differs", "missing there", "missing here"]
    there: Any = None
    here: Any = None
    explanation: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether record and replay say the same."""
        return self.verdict in FINE


class Agreement(Struct, frozen=True, kw_only=True):
    """How many rows with an answer on both sides agree, with the interval of their share."""

    agreed: int
    compared: int
    interval: Interval | None = None


class Verification(Struct, frozen=True, kw_only=True):
    """The outcome of a whole replay.

    Attributes:
        flow: Path of the flow that was run.
        against: The recorded run.
        where: Its folder.
        made_by: Whose record it is.
        run: Name of the replay's own run.
        rows: Every row, in order.
        metrics: Every metric of either side.
        counts: Rows by verdict, those with none left out.
        agreement: Over rows with an answer on both sides.
        replayed: Nodes that were answered from the record.
        asked: Nodes that asked a model.
        notes: What else is to be known: about the record, the files, and what was not compared.
    """

    flow: str
    against: str
    where: str
    made_by: str
    run: str
    rows: tuple[RowReport, ...]
    metrics: tuple[MetricReport, ...]
    counts: dict[str, int]
    agreement: Agreement
    replayed: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unlike(self) -> tuple[RowReport | MetricReport, ...]:
        """Rows and metrics in which record and replay differ."""
        return tuple(item for item in (*self.rows, *self.metrics) if not item.is_fine)

    def is_accepted(self, *, explained: bool) -> bool:
        """Return whether nothing differs; with ``explained``, whether nothing differs without an explanation."""
        return all(explained and item.explanation for item in self.unlike)
