"""What every evaluator is to the rest of the house, whether it was written as a function, a class or a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self

from msgspec import Struct

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.evaluation.types import Direction, Metric, Score


class Judged(Struct, frozen=True, kw_only=True):
    """What an evaluator made of one row.

    Attributes:
        scores: At least one; evaluator and version are still to be filled in.
        returned: The evaluator's own answer, for its aggregation over all rows.
        completed: Whether it gave an answer.
    """

    scores: tuple[Score, ...]
    returned: Any = None
    completed: bool = True


class Aggregated(Struct, frozen=True, kw_only=True):
    """What an evaluator made of all rows: figures by name, and for each one that is none, why."""

    figures: dict[str, float]
    faults: dict[str, str]


class Parameters(Struct, frozen=True, kw_only=True):
    """Names that an evaluator takes; ``open`` = it takes any name beside them."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    open: bool = False

    def check(self, given: Iterable[str], evaluator: str, where: str | None = None) -> None:
        """Refuse arguments that the evaluator does not take, and a missing one that it needs.

        Raises:
            ConfigError: naming the argument, the nearest known one and all that are known.
        """
        names, known = list(given), [*self.required, *self.optional]
        takes = f"the evaluator '{evaluator}' takes: {', '.join(known) or 'nothing'}"
        for name in names:
            if name not in known and not self.open:
                raise ConfigError(
                    f"the evaluator '{evaluator}' has no argument '{name}'; {nearest_hint(name, known)}",
                    where=where,
                    expected=takes,
                    fix="rename it in the evaluator's column_mapping, or remove it",
                )
        missing = [name for name in self.required if name not in names]
        if missing:
            raise ConfigError(
                f"the evaluator '{evaluator}' needs the argument '{missing[0]}'",
                where=where,
                expected=takes,
                fix=f"map it: column_mapping: {{{missing[0]}: ${{run.outputs.…}}}}",
            )


class Evaluator(Protocol):
    """A loaded evaluator: an async context manager whose `judge` may be called concurrently.

    Attributes:
        name: Its name in the experiment.
        version: Digest of its source and options: the same version gives the same scores.
        parameters: The arguments of `judge`.
        metrics: Metrics that it declares; empty = they follow from its scores.
        better: Direction of its scores.
        aggregates: Whether it makes figures over all rows.
    """

    name: str
    version: str
    parameters: Parameters
    metrics: tuple[Metric, ...]
    better: Direction | dict[str, Direction]
    aggregates: bool

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Judge one row; whatever the evaluator's code does, the answer is a state and never an exception."""
        ...

    def unanswered(self, arguments: Mapping[str, Any]) -> Score:
        """Return what is known of a row that failed before it could be judged: its true label, or its sums."""
        ...

    async def aggregate(self, judged: Sequence[Judged]) -> Aggregated:
        """Make figures over all rows, in the order of the rows."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...
