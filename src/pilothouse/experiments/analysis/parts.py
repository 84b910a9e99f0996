"""Parts of the data in a comparison: its slices and its single rows, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.datasets.types import Row
from pilothouse.evaluation.items.analysis import item_report
from pilothouse.evaluation.items.types import ItemReport
from pilothouse.evaluation.slices.analysis import slice_report
from pilothouse.evaluation.slices.cutting import cut
from pilothouse.evaluation.slices.types import Cut, Heterogeneity, SliceReport, Slicing
from pilothouse.evaluation.types import Metric, Procedure, ScoredRow
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.types import Experiment

_NAMED = 3


def check_slices(slicing: Slicing | None, columns: Sequence[str], where_of: Callable[[int], str]) -> None:
    """Refuse slices of columns that the data does not have, before a single row is run.

    Args:
        slicing: The slices.
        columns: Columns of the data.
        where_of: From the place of a slice to ``file:line``.

    Raises:
        ConfigError: for an unknown column, or a way to cut that names none.
    """
    if slicing is None:
        return
    for index, way in enumerate(slicing.ways):
        where = where_of(index)
        if bool(way.column) == bool(way.cross):
            raise ConfigError(
                "a slice names one column, or the columns that it crosses",
                where=where,
                expected="topic, {column: length, bins: 4} or {cross: [topic, length]}",
            )
        for part in way.parts:
            if part.column not in columns:
                raise ConfigError(
                    f"the data has no column '{part.column}' to slice by",
                    where=where,
                    expected=nearest_hint(part.column, columns),
                )


def cuts_of(slicing: Slicing | None, data: Iterable[Row]) -> tuple[Cut, ...]:
    """Return the rows of the data as they are to be sliced; the data is read only where it is."""
    return () if slicing is None else cut(data, slicing.ways)


def slices_of(
    experiment: Experiment,
    metric: Metric,
    scored: Mapping[str, Sequence[ScoredRow]],
    cuts: Sequence[Cut],
    how: Procedure,
    repeats: int,
) -> SliceReport | None:
    """Return the primary metric in every slice; None when no slices were asked for."""
    if experiment.slices is None or not cuts:
        return None
    return slice_report(metric, scored, experiment.baseline, cuts, experiment.slices, how, line_of=_line_of(repeats))


def items_of(
    experiment: Experiment,
    metrics: Sequence[Metric],
    scored: Mapping[str, Sequence[ScoredRow]],
    how: Procedure,
    repeats: int,
) -> ItemReport | None:
    """Return what single rows tell in the primary metric."""
    return item_report(metrics, scored, experiment.baseline, how, line_of=_line_of(repeats))


def slice_notes(report: SliceReport | None, metric: Metric, baseline: str) -> Iterator[str]:
    """Yield what the slices say, in words: first whether they differ at all, so that noise is not read as a pattern."""
    if report is None:
        return
    yield from _differences(report, metric, baseline)
    weaker = [
        (item, contrast) for item in report.slices for contrast in item.contrasts if contrast.standing == "weaker"
    ]
    for item, contrast in sorted(weaker, key=lambda pair: pair[1].p_adjusted or 0.0)[:_NAMED]:
        value = numbers.quantity(item.estimates[contrast.arm].value, metric, item.rows)
        gap, p = _signed(contrast.difference, metric), numbers.p_value(contrast.p_adjusted)
        yield (
            f"{contrast.arm} is weaker where {item.name}: {metric.name} {value}, {gap} against its other rows "
            f"(p {_is(p)}, corrected over all slices)."
        )
    if len(weaker) > _NAMED:
        yield f"{len(weaker) - _NAMED} more slices are weaker than the rest; the report lists them."
    few = sum(item.too_few for item in report.slices)
    if few:
        verb = "slice has" if few == 1 else "slices have"
        yield f"{few} {verb} fewer than {report.min_rows} independent rows: too few for a verdict."
    yield from report.notes


def _differences(report: SliceReport, metric: Metric, baseline: str) -> Iterator[str]:
    tests = [test for test in report.heterogeneity if test.of == "difference"]
    for test in tests:
        if test.differs:
            yield _pattern(report, test, metric, baseline)
    same = [test.by for test in tests if test.p_value is not None and not test.differs]
    if same:
        ways = ", ".join(dict.fromkeys(same))
        yield f"Nothing shows that a difference from {baseline} depends on {ways}: what looks unlike may be noise."


def _pattern(report: SliceReport, test: Heterogeneity, metric: Metric, baseline: str) -> str:
    found = [
        (item.difference.value, part.value)
        for part in report.slices
        if part.by == test.by
        for item in part.comparisons
        if item.candidate == test.arm and item.difference.value is not None
    ]
    low, high = min(found), max(found)
    p = numbers.p_value(test.p_adjusted)
    return (
        f"The difference of {test.arm} from {baseline} depends on {test.by} (p {_is(p)}): "
        f"from {_signed(low[0], metric)} ({low[1]}) to {_signed(high[0], metric)} ({high[1]})."
    )


def _signed(value: float | None, metric: Metric) -> str:
    return numbers.signed(value, 2) if metric.unit is None else numbers.quantity(value, metric, 1)


def _is(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _line_of(repeats: int) -> Callable[[ScoredRow], str]:
    # A repeated row is judged under an id of its own; its line is what its repeats share.
    return lambda row: row.cluster if repeats > 1 and row.cluster is not None else row.id
