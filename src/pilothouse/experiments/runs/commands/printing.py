"""What the verbs of `run` print of a run and its rows, and with which code a run's command ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from pilothouse.core.errors import Interrupted
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RowStatus, Run, RunRow

ERRORS_SHOWN = 3
CELL_WIDTH = 200


def finish(runs: RunService, ended: Run, *, as_json: bool) -> int:
    """Print how a run ended and return the command's exit code.

    Raises:
        Interrupted: it was stopped.
    """
    if as_json:
        emit_json(ended)
    else:
        print_summary(runs, ended)
    if ended.status in ("interrupted", "cancelled"):
        verb = "was cancelled" if ended.status == "cancelled" else "was stopped"
        raise Interrupted(
            f"the run '{ended.name}' {verb} after {ended.counts.done:,} rows; they are kept",
            fix=f"pilothouse run resume {ended.name}",
        )
    return 0 if ended.within_limit else 1


def print_summary(runs: RunService, ended: Run) -> None:
    """Print the record of a run, its first errors, and what to type next."""
    out = console()
    rows = [["status", ended.status], *facts(ended), *[[key, f"{value:.6g}"] for key, value in ended.metrics.items()]]
    out.print(table(f"Run {ended.name}", ["", ""], rows))
    if ended.error is not None:
        out.print(f"error: {ended.error.message}", markup=False)
    for note in (*ended.notes, *ended.attempts[-1].notes):
        out.print(f"note: {note}", markup=False)
    if ended.counts.unsuccessful:
        for row in islice(some_rows(runs, ended, failed=True), ERRORS_SHOWN):
            out.print(f"row {row.line_id}: {error_text(row)}", markup=False)
    out.print(f"next: {_next(ended)}", markup=False, soft_wrap=True)


def facts(ended: Run) -> Iterator[list[str]]:
    """Yield what a person wants to know of a run, as pairs of a label and a text."""
    counts, totals = ended.counts, ended.totals
    if ended.spec.display_name:
        yield ["display name", ended.spec.display_name]
    if ended.spec.description:
        yield ["description", ended.spec.description]
    if ended.spec.tags:
        yield ["tags", ", ".join(f"{key}={value}" for key, value in ended.spec.tags.items())]
    parts = [f"{counts.completed:,} completed", f"{counts.failed:,} failed"]
    if counts.missing:
        parts.append(f"{counts.missing:,} without a source row")
    if counts.cached:
        parts.append(f"{counts.cached:,} from the cache")
    yield ["rows", f"{counts.done:,} of {counts.total:,}: " * (counts.total is not None) + ", ".join(parts)]
    last = ended.attempts[-1]
    rate = f" ({last.rows / last.duration:,.0f} rows/s)" if last.rows and last.duration > 0 else ""
    yield ["time", f"{taken(ended)}{rate}"]
    if totals.usage.total_tokens or totals.cached_usage.total_tokens:
        saved = totals.cached_usage.total_tokens
        text = f"{totals.usage.input_tokens:,} in, {totals.usage.output_tokens:,} out"
        yield ["tokens", text + (f"; {saved:,} not spent again" if saved else "")]
    if totals.cost is not None or totals.unpriced:
        cost = f"${totals.cost:.6f}" if totals.cost is not None else "unknown"
        yield ["cost", cost + (f" ({totals.unpriced:,} calls have no known price)" if totals.unpriced else "")]
    yield ["flow", f"{ended.flow.path} {_choices(ended)}".strip()]
    if ended.data is not None:
        yield ["data", ended.data.source]
    if ended.archived:
        yield ["archived", f"left out of lists; pilothouse run restore {ended.name}"]


def some_rows(runs: RunService, found: Run, *, failed: bool) -> Iterator[RunRow]:
    """Yield the rows of a run, or only those without an answer."""
    if not failed:
        yield from runs.rows(found)
        return
    without: tuple[RowStatus, ...] = ("failed", "missing")
    for status in without:
        yield from runs.rows(found, status=status)


def as_text(value: Any) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()


def shortened(text: str) -> str:
    """Return a text as a cell of a table shows it."""
    return text if len(text) <= CELL_WIDTH else text[:CELL_WIDTH] + "..."


def error_text(row: RunRow) -> str:
    """Return why a row has no answer, in characters that a terminal only shows."""
    if row.error is None:
        return ""
    return visible(f"{row.error.node}: {row.error.message}" if row.error.node else row.error.message)


def visible(text: str) -> str:
    """Return a text of user code without codes that a terminal obeys."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def taken(found: Run) -> str:
    """Return the time of all attempts; how long one took that was killed, nobody measured."""
    if all(attempt.ended_at is not None for attempt in found.attempts):
        return seconds(found.duration)
    return f"over {seconds(found.duration)}" if found.duration > 0 else "unknown"


def seconds(value: float) -> str:
    """Return a duration for people."""
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def _choices(ended: Run) -> str:
    return ", ".join(f"{node}={variant}" for node, variant in ended.variants.items())


def _next(ended: Run) -> str:
    if ended.status == "running":
        return f"pilothouse run stream {ended.name}    (pilothouse run cancel {ended.name})"
    if ended.counts.failed:
        return f"pilothouse run resume {ended.name}    (pilothouse run show {ended.name} --failed)"
    if ended.status in ("interrupted", "cancelled"):
        return f"pilothouse run resume {ended.name}"
    return f"pilothouse run show {ended.name} --rows"
