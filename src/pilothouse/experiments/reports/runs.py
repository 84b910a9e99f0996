"""The page of runs: one, or several side by side, in the pieces that the report of an experiment is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis.judgements import Judgements
from pilothouse.experiments.analysis.measures import measure
from pilothouse.experiments.analysis.recorded import Recorded
from pilothouse.experiments.analysis.views import ArmRows, row_views
from pilothouse.experiments.comparison import Arm, ExperimentComparison, RowView
from pilothouse.experiments.reports import charts
from pilothouse.experiments.reports.cells import answer_text
from pilothouse.experiments.reports.html import latency_note, page, row_view
from pilothouse.experiments.reports.selection import MOST_ROWS, select
from pilothouse.experiments.reports.visible import plain
from pilothouse.experiments.runs.types import FINISHED, Run, RunRow
from pilothouse.experiments.types import Variant

_SECTIONS = (("runs", "Runs"), ("latency", "Latency and cost"), ("rows", "Rows"), ("failures", "Failures"),
             ("facts", "What was run"))  # fmt: skip
_COLOURS = {"completed": "better", "completed_with_errors": "worse", "failed": "worse"}

#: Nobody judged the rows: what judges none says nothing of any.
_UNJUDGED = Judgements(Metric(name="", kind="mean"), ())


class Head(Struct, frozen=True, kw_only=True):
    """One run as the page's first table shows it."""

    name: str
    display_name: str
    status: str
    css: str
    rows: int
    completed: int
    unsuccessful: int
    duration: float
    metrics: dict[str, float]


def runs_page(
    runs: Sequence[Run], rows: Callable[[Run], Iterable[RunRow]], now: datetime, most_rows: int = MOST_ROWS
) -> bytes:
    """Return the page.

    Args:
        runs: At least one run; their rows are joined by their place in the data.
        rows: Yields the rows of a run in input order, from the first at each call.
        now: When the page is made.
        most_rows: Rows that the page itself carries; the others are counted.
    """
    counts = [0, 0]
    views = row_views([ArmRows(rows=rows(run), judged=_UNJUDGED, scores={}) for run in runs])
    chosen = select(_counted(views, counts), most_rows)
    found = ExperimentComparison(
        name="Run " + runs[0].name if len(runs) == 1 else f"{len(runs)} runs side by side",
        ref="",
        created_at=now,
        baseline=runs[0].name,
        primary="",
        metrics=(),
        arms=tuple(_arm(run, rows) for run in runs),
        outcome="single",
        verdict="",
        notes=tuple(_notes(runs)),
        rows=counts[0],
        disagreements=counts[1],
    )
    view = {
        "found": found,
        "noun": "run",
        "rows_file": "",
        "sections": _SECTIONS,
        "heads": [_head(run) for run in runs],
        "aggregates": list(dict.fromkeys(name for run in runs for name in run.metrics)),
        "latency_plot": charts.latency_chart(found),
        "token_plot": charts.token_chart(found) if any(arm.usage.total_tokens for arm in found.arms) else None,
        "latency_note": latency_note(found),
        "settings": _settings(runs),
        **row_view(found, chosen, {}),
    }
    return page("runs.html.j2", view)


def _counted(views: Iterable[RowView], counts: list[int]) -> Iterator[RowView]:
    """Yield rows whose answers are told apart by their outputs; count all, and those on which runs disagree."""
    for view in views:
        answers = tuple(
            answer if answer is None or answer.error is not None else structs.replace(answer, label=answer_text(answer))
            for answer in view.answers
        )
        shown = structs.replace(view, answers=answers)
        counts[0] += 1
        counts[1] += shown.disagree
        yield shown


def _arm(run: Run, rows: Callable[[Run], Iterable[RunRow]]) -> Arm:
    taken = measure(Recorded(run=run, rows=lambda: rows(run)))
    return Arm(
        variant=Variant(name=run.name, choices=run.variants),
        run=run.name,
        rows=run.counts.done,
        failed=run.counts.unsuccessful,
        estimates={},
        latency=taken.latency,
        usage=taken.usage,
        cached_usage=taken.cached_usage,
        cost=taken.cost,
        unpriced=taken.unpriced,
        calls=taken.calls,
        models=taken.models,
    )


def _head(run: Run) -> Head:
    return Head(
        name=run.name,
        display_name=run.spec.display_name or "",
        status=run.status,
        css=_COLOURS.get(run.status, ""),
        rows=run.counts.done,
        completed=run.counts.completed,
        unsuccessful=run.counts.unsuccessful,
        duration=run.duration,
        metrics=run.metrics,
    )


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    if len({run.data.digest if run.data is not None else run.source_run for run in runs}) > 1:
        yield "The runs are not over the same data: their rows are joined by their number only."
    for run in runs:
        if run.status not in FINISHED:
            yield f"{run.name} has not ended yet: this is what it has recorded so far."
        for note in (*run.notes, *([run.error.message] if run.error is not None else [])):
            yield f"{run.name}: {note}" if len(runs) > 1 else note


def _settings(runs: Sequence[Run]) -> list[tuple[str, list[str], bool]]:
    """Return what was run, label by label: a value for each run, and whether they differ."""
    tables = [_facts(run) for run in runs]
    labels = [label for label in tables[0] if any(table[label] for table in tables)]
    columns = [(label, [table[label] for table in tables]) for label in labels]
    return [(label, values, len(set(values)) > 1) for label, values in columns]


def _facts(run: Run) -> dict[str, str]:
    return {
        "flow": f"{run.flow.path} ({run.flow.digest[:12]})",
        "variants": _pairs(run.variants),
        "data": f"{run.data.source} ({run.data.digest[:12]})" if run.data is not None else "",
        "judges the run": run.source_run or "",
        "keeps rows of": run.resumed_from or "",
        "column mapping": _pairs(run.column_mapping),
        "connections": _pairs(run.spec.connections),
        "description": run.spec.description or "",
        "tags": _pairs(run.spec.tags),
        "begun": f"{run.created_at:%Y-%m-%d %H:%M:%S} UTC by {run.created_by}",
        "made with": " ".join(f"{key} {value}" for key, value in run.environment.items()),
    }


def _pairs(given: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {plain(value)}" for key, value in given.items())
