"""Metrics that aggregation nodes log while they run."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from pilothouse.core.errors import DataError


class Sink(Protocol):
    """Where a logged metric goes."""

    def log(self, key: str, value: float, variant_id: str | None) -> None:
        """Take one metric."""
        ...


class MetricSink:
    """Keeps the metrics of one aggregation.

    Attributes:
        values: The last value of every key.
        notes: What a reader should know about them.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.notes: list[str] = []

    def log(self, key: str, value: float, variant_id: str | None) -> None:
        """Take one metric."""
        if key in self.values and self.values[key] != value:
            said = f" for the variant '{variant_id}'" if variant_id else ""
            note = f"the metric '{key}' was logged again{said}: the last value counts"
            if note not in self.notes:
                self.notes.append(note)
        self.values[key] = value


sink: ContextVar[Sink | None] = ContextVar("pilothouse_metric_sink", default=None)
"""Set by the runner around lines and aggregations; None outside of flows, where metrics go nowhere."""


def log_metric(key: str, value: float, variant_id: str | None = None) -> None:
    """Log a metric of the run; called by aggregation nodes.

    Args:
        key: Its name; logged twice, the last value counts.
        value: A number, or what `float` takes for one.
        variant_id: Accepted as prompt flow does; the key alone names the metric.

    Raises:
        DataError: when the value is not a number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the metric '{key}' is not a number but {type(value).__name__}", fix="log one number for each key"
        ) from error
    current = sink.get()
    if current is not None:
        current.log(str(key), number, variant_id)
