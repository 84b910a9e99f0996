"""The HTML report: one file that loads nothing, runs only its own script, and shows hostile text as text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.facts import IN_FLIGHT
from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.reports import charts
from pilothouse.experiments.reports.cells import MOST_TEXT, shown_row
from pilothouse.experiments.reports.diffs import DiffLine, side_by_side
from pilothouse.experiments.reports.frontier import tradeoff_charts
from pilothouse.experiments.reports.parts.factors import effect_chart
from pilothouse.experiments.reports.parts.looks import looks_view
from pilothouse.experiments.reports.parts.page import parts_view
from pilothouse.experiments.reports.selection import MOST_ROWS, Selection, select
from pilothouse.experiments.reports.visible import plain, seen, shorten

HERE = Path(__file__).parent
MAIN_METRICS = 4
"""Metrics at most that are open on the page; the others stand folded below them."""

FEW_CLASSES = 3
"""Up to so many classes, three confusion matrices fit beside one another."""

SECTIONS = (
    ("scores", "Scores"),
    ("differences", "Differences"),
    ("looks", "Looks"),
    ("factors", "Factors"),
    ("slices", "Slices"),
    ("items", "Single rows"),
    ("confusion", "Confusion"),
    ("latency", "Latency and cost"),
    ("tradeoffs", "Trade-offs and models"),
    ("rows", "Rows"),
    ("prompts", "Prompts"),
    ("failures", "Failures"),
    ("facts", "Facts"),
)


class ShownDiff(Struct, frozen=True, kw_only=True):
    """A node's texts side by side."""

    candidate: str
    node: str
    baseline_file: str
    candidate_file: str
    settings: tuple[tuple[str, str, str], ...]
    lines: tuple[DiffLine, ...]


def render(found: ExperimentComparison, rows: Iterable[RowView], *, most_rows: int = MOST_ROWS) -> bytes:
    """Return the page.

    Args:
        found: The comparison.
        rows: Every row, in the data's order; read once.
        most_rows: Rows that the page itself carries; the others are counted, and stand in the CSV file.
    """
    chosen = select(rows, most_rows)
    labels = charts.label_numbers(found.arms)
    main = main_metrics(found)
    more = tuple(metric for metric in found.metrics if metric not in main)
    view: dict[str, Any] = {
        "found": found,
        "noun": "variant",
        "rows_file": "rows.csv",
        "level": _level(found),
        "positions": {arm.name: place for place, arm in enumerate(found.arms)},
        "aggregates": list(dict.fromkeys(name for arm in found.arms for name in arm.aggregates)),
        "main_metrics": main,
        "more_metrics": more,
        "score_plots": charts.score_charts(found, main),
        "more_score_plots": charts.score_charts(found, more),
        "difference_plots": charts.difference_charts(found, main),
        "more_difference_plots": charts.difference_charts(found, more),
        "matrices": charts.confusion_charts(found, labels),
        "few_classes": len(labels) <= FEW_CLASSES,
        "latency_plot": charts.latency_chart(found),
        "token_plot": charts.token_chart(found),
        "effect_plot": effect_chart(found),
        "tradeoff_plots": tradeoff_charts(found),
        "latency_note": latency_note(found),
        "method": method(found),
        "facts": list(found.facts.items()),
        "diffs": _diffs(found),
        **parts_view(found),
        **looks_view(found),
        **row_view(found, chosen, labels),
    }
    present = {
        "differences": bool(found.comparisons),
        "looks": found.looks is not None,
        "factors": bool(found.effects),
        "slices": found.slices is not None,
        "items": found.items is not None,
        "confusion": bool(view["matrices"]),
        "tradeoffs": bool(view["tradeoff_plots"] or found.models),
        "prompts": bool(view["diffs"]),
    }
    view["sections"] = [(anchor, label) for anchor, label in SECTIONS if present.get(anchor, True)]
    return page("report.html.j2", view)


def page(template: str, view: dict[str, Any]) -> bytes:
    """Return a page that is complete in itself: the template's, with our style and script and its law inside."""
    css, script = _asset("report.css"), _asset("report.js")
    whole = {
        "css": Markup(css),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "policy": _policy(css, script),
        **view,
    }
    return _environment().get_template(template).render(whole).encode("utf-8", "replace")


def main_metrics(found: ExperimentComparison) -> tuple[Metric, ...]:
    """Return the metric that decides, and the first of each evaluator: of labels two, accuracy and macro-F1."""
    chosen = [found.metrics[0]]
    for metric in found.metrics[1:]:
        beside = [item for item in chosen if item.evaluator == metric.evaluator]
        if len(beside) < (2 if metric.kind == "labels" else 1):
            chosen.append(metric)
    return tuple(chosen[:MAIN_METRICS])


def latency_note(found: ExperimentComparison) -> str:
    """Return what the latency figures are, in words."""
    rows = found.facts.get(IN_FLIGHT)
    many = f" (at most {rows} at a time)" if rows else ""
    text = (
        f"A row's latency is the time its flow took beside the other rows in flight{many}, waiting for them included."
    )
    cached = sum(arm.latency.cached for arm in found.arms)
    if cached:
        text += f" {cached:,} rows were answered from the cache: they count with the time they first took."
    unknown = sum(arm.latency.unknown for arm in found.arms)
    if unknown:
        text += f" {unknown:,} cached rows whose first time is not known are left out."
    return text


def method(found: ExperimentComparison) -> str:
    """Return which tests and corrections stand behind the differences, in words."""
    tests: dict[str, list[str]] = {}
    for item in found.comparisons:
        if item.metric not in tests.setdefault(item.test, []):
            tests[item.test].append(item.metric)
    used = "; ".join(f"{test} ({', '.join(metrics)})" for test, metrics in tests.items())
    corrections = ", ".join(dict.fromkeys(item.correction for item in found.comparisons))
    item = found.comparisons[0] if found.comparisons else None
    if item is None:
        return ""
    if found.looks is not None:
        return f"Tests: {used}. Correction: {corrections}. A variant is decided when its interval leaves out zero."
    return (
        f"Tests: {used}. Correction: {corrections}. A difference counts when its corrected p is below {item.alpha:g} "
        f"and its interval leaves out zero. Detectable from: the smallest true difference that this many rows find "
        f"with a chance of {numbers.percent(item.power)}."
    )


def row_view(found: ExperimentComparison, chosen: Selection, labels: dict[str, int]) -> dict[str, Any]:
    """Return what the templates of rows and failures show."""
    failures = [
        {"arm": found.arms[item.arm].name, "key": item.key, "node": item.node, "error": shorten(item.error, MOST_TEXT)}
        for item in chosen.failures
    ]
    return {
        "rows": [shown_row(row, found.arms, labels) for row in chosen.rows],
        "hidden": chosen.hidden,
        "has_truth": any(row.truth is not None for row in chosen.rows),
        "failures": failures,
        "more_failures": chosen.hidden_failures,
    }


def _diffs(found: ExperimentComparison) -> list[ShownDiff]:
    return [
        ShownDiff(
            candidate=item.candidate,
            node=item.node,
            baseline_file=item.baseline_file,
            candidate_file=item.candidate_file,
            settings=tuple((name, plain(pair[0]), plain(pair[1])) for name, pair in item.settings.items()),
            lines=side_by_side(item.baseline_text, item.candidate_text)
            if item.baseline_text != item.candidate_text
            else (),
        )
        for item in found.prompts
    ]


def _level(found: ExperimentComparison) -> str:
    levels = {estimate.interval.level for arm in found.arms for estimate in arm.estimates.values() if estimate.interval}
    return f"{max(levels, default=0.95) * 100:g} %"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _show(wanted: dict[str, Any]) -> str:
    return json.dumps(wanted, separators=(",", ":"))


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    return (HERE / "static" / name).read_text(encoding="utf-8")


def _policy(css: str, script: str) -> str:
    """Return the page's own law: no request, no form, and no style or script but the two inlined here."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)]
    ours = f"style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'"
    return f"default-src 'none'; {ours}; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    filters: dict[str, Any] = made.filters
    filters.update(
        seen=seen,
        when=_when,
        show=_show,
        count=numbers.count,
        score=numbers.score,
        seconds=numbers.seconds,
        money=numbers.money,
        p=numbers.p_value,
        figure=numbers.estimate,
        difference=numbers.difference,
        detectable=numbers.detectable,
    )
    return made
