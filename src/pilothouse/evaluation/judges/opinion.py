"""What all evaluators that are a model's opinion have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from pilothouse.evaluation.evaluators.evaluator import Aggregated, Judged
from pilothouse.evaluation.types import Score

UNCALIBRATED = "uncalibrated"
"""What a judge says of itself until its verdicts were compared with people's."""


@runtime_checkable
class ModelJudge(Protocol):
    """An evaluator that is a model's opinion: it says how far that was compared with people's."""

    calibration: str
    version: str

    def shown(self, names: Iterable[str]) -> None:
        """Take note of the arguments that rows will have."""
        ...


class Asked(Protocol):
    """Models that are asked."""

    def open(self) -> None:
        """Begin to ask in this event loop."""
        ...


class Opinion:
    """A model's opinion of rows, one by one: nothing is made of all rows together.

    Attributes:
        name: Of the evaluator.
        version: Digest of all that decides verdicts.
        calibration: How far it was compared with people.
        aggregates: Never: every figure follows from the scores.
    """

    aggregates = False

    def __init__(self, name: str, version: str, asked: Asked) -> None:
        self.name = name
        self.version = version
        self.calibration = UNCALIBRATED
        self._asked = asked

    def shown(self, names: Iterable[str]) -> None:
        """Take note of the arguments that rows will have: here they change nothing."""

    def unanswered(self, arguments: Mapping[str, Any]) -> Score:
        """Return nothing but the name: a row that failed has nothing to be asked about."""
        return Score(name=self.name)

    async def aggregate(self, judged: Sequence[Judged]) -> Aggregated:
        """Return nothing: every figure follows from the scores."""
        return Aggregated(figures={}, faults={})

    async def __aenter__(self) -> Self:
        self._asked.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        return None
