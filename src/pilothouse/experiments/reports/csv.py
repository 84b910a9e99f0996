"""CSV reports: every row of every arm, and every figure.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return as a formula. Text
of strangers that begins so is written with an apostrophe in front, which spreadsheets take for "this is text".
Numbers are written as numbers: a negative score stays a score. Programs that need the texts to the letter read the
run's own export (``pilothouse run export``). UTF-8 without a byte order mark; line ends as RFC 4180 has them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from pilothouse.experiments.comparison import Answer, Arm, ExperimentComparison, RowView
from pilothouse.experiments.reports.visible import plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

ROW_COLUMNS = (
    "row", "number", "repeat", "variant", "run", "inputs", "truth", "label", "outputs", "right", "primary_score",
    "scores", "seconds", "cached", "input_tokens", "output_tokens", "error_node", "error",
)  # fmt: skip

SUMMARY_COLUMNS = (
    "variant", "is_baseline", "run", "metric", "value", "low", "high", "level", "method", "n", "rows", "failed",
    "difference", "difference_low", "difference_high", "test", "p", "p_adjusted", "correction", "won", "lost",
    "detectable", "verdict", "note",
)  # fmt: skip


def rows_csv(found: ExperimentComparison, rows: Iterable[RowView]) -> Iterator[str]:
    """Yield the file's text, one line for every row and arm."""
    line = _Lines()
    yield line(ROW_COLUMNS)
    for row in rows:
        for arm, answer in zip(found.arms, row.answers, strict=True):
            if answer is not None:
                yield line(_row(row, arm, answer))


def summary_csv(found: ExperimentComparison) -> Iterator[str]:
    """Yield the file's text, one line for every arm and metric."""
    line = _Lines()
    yield line(SUMMARY_COLUMNS)
    compared = {(item.candidate, item.metric): item for item in found.comparisons}
    for arm in found.arms:
        for metric in found.metrics:
            estimate = arm.estimates.get(metric.name)
            if estimate is None:
                continue
            ends = estimate.interval
            item = compared.get((arm.name, metric.name))
            between = item.difference.interval if item else None
            yield line(
                (
                    arm.name, arm.name == found.baseline, arm.run, metric.name, estimate.value,
                    ends.low if ends else None, ends.high if ends else None, ends.level if ends else None,
                    ends.method if ends else None, estimate.n, arm.rows, arm.failed,
                    item.difference.value if item else None, between.low if between else None,
                    between.high if between else None, item.test if item else None, item.p_value if item else None,
                    item.p_adjusted if item else None, item.correction if item else None,
                    item.discordant[1] if item and item.discordant else None,
                    item.discordant[0] if item and item.discordant else None,
                    item.mde if item else None, item.verdict if item else None,
                    (item.note if item else None) or estimate.note,
                )
            )  # fmt: skip


def _row(row: RowView, arm: Arm, answer: Answer) -> tuple[Any, ...]:
    return (
        row.id, row.number, row.repeat, arm.name, arm.run, row.inputs, row.truth, answer.label,
        answer.outputs if answer.error is None else None, answer.right, answer.primary, answer.scores, answer.duration,
        answer.cached, answer.usage.input_tokens, answer.usage.output_tokens, answer.error_node, answer.error,
    )  # fmt: skip


class _Lines:
    """Makes lines of values."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)

    def __call__(self, values: Iterable[Any]) -> str:
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow([_cell(value) for value in values])
        return self._text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    shown = plain(value).replace("\x00", "\\0")
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
