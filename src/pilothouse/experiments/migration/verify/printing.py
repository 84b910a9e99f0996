"""A verification as text for people: what differs first, then what was found beside it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from pilothouse.core.terminal import table
from pilothouse.experiments.migration.verify.types import Agreement, MetricReport, RowReport, Verification

_CELL = 70


def print_verification(screen: Console, done: Verification, *, limit: int) -> None:
    """Print a verification.

    Args:
        screen: Where to.
        done: What is printed.
        limit: Rows that differ and are shown, at most.
    """
    counts = ", ".join(f"{number:,} {_safe(verdict)}" for verdict, number in done.counts.items())
    facts = [("record", f"{done.where} ({done.made_by})"), ("replay", f"the run {done.run}"), ("rows", counts)]
    facts += [("agreement", _agreement(done.agreement))] if done.agreement.compared else []
    facts += [("from the record", ", ".join(done.replayed))] if done.replayed else []
    facts += [("asked models", ", ".join(done.asked))] if done.asked else []
    screen.print(table(f"{done.flow} against {done.against}", ("", ""), facts))
    unlike = [row for row in done.rows if not row.is_fine]
    if unlike:
        screen.print(table("Rows that differ", ("row", "verdict", "where", "there", "here"), _rows(unlike[:limit])))
        for why, rows in _explained(unlike):
            screen.print(Text(f"explained in row {rows}: {_safe(why)}"))
        if len(unlike) > limit:
            screen.print(f"the first {limit} of {len(unlike):,}; --limit N shows more, --json all", markup=False)
    if done.metrics:
        screen.print(table("Metrics", ("metric", "verdict", ">there", ">here"), map(_metric, done.metrics)))
    for why in dict.fromkeys(item.explanation for item in done.metrics if item.explanation):
        screen.print(Text(f"explained: {_safe(why)}"))
    for note in done.notes:
        screen.print(Text(f"note: {_safe(note)}"))
    screen.print(Text(_verdict(done), style="bold"))


def _verdict(done: Verification) -> str:
    unlike = done.unlike
    if not unlike:
        return "equal: every row and every metric"
    rows = sum(isinstance(item, RowReport) for item in unlike)
    parts = [f"{rows:,} of {len(done.rows):,} rows"]
    parts += [f"{len(unlike) - rows:,} of {len(done.metrics):,} metrics"] if done.metrics else []
    explained = sum(bool(item.explanation) for item in unlike)
    known = f"; {explained:,} of {len(unlike):,} explained by prompt flow's own faults" if explained else ""
    models = any(isinstance(item, RowReport) and item.by_model for item in unlike)
    hint = "; models answer differently each time: --replay-models compares the rest" if models else ""
    return f"differs: {' and '.join(parts)}{known}{hint}"


def _agreement(agreement: Agreement) -> str:
    share = f"{agreement.agreed:,} of {agreement.compared:,} rows ({agreement.agreed / agreement.compared:.1%}"
    interval = agreement.interval
    if interval is None:
        return f"{share})"
    return f"{share}, {interval.level:.0%} interval {interval.low:.1%} to {interval.high:.1%})"


def _rows(rows: list[RowReport]) -> Iterator[tuple[str, str, str, str, str]]:
    for row in rows:
        verdict = f"{row.verdict} (by {row.node})" if row.node else row.verdict
        shown = [item for item in row.differences if not item.alike]
        if not shown:
            yield row.id, verdict, "", _cut(row.there), _cut(row.here)
        for place, item in enumerate(shown):
            first = not place
            yield row.id if first else "", verdict if first else "", item.path, _cut(item.there), _cut(item.here)


def _explained(rows: list[RowReport]) -> Iterator[tuple[str, str]]:
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.explanation:
            reasons.setdefault(row.explanation, []).append(row.id)
    for why, ids in reasons.items():
        yield why, ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")


def _metric(item: MetricReport) -> tuple[str, str, str, str]:
    return item.name, item.verdict, _figure(item.there), _figure(item.here)


def _figure(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    text = _safe(text)
    return text if len(text) <= _CELL else text[: _CELL - 3] + "..."


def _safe(text: str) -> str:
    """Return a text without the codes that a terminal obeys: records hold what users and models wrote."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
