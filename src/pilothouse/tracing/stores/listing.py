"""The list of traces, in pages, the newest first.

A trace is listed by its root; by its earliest span where no root was recorded, because its process died, is still at
work, or the root lies in another system. Roots are found at once. Traces without one are looked for only in the time
that a page covers, so a page costs the same however much lies behind it.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Any, Final

from pilothouse.tracing.stores.schema import CANONICAL
from pilothouse.tracing.stores.tokens import Place, spent
from pilothouse.tracing.types import Cursor, Span, TraceFilter, TracePage, TraceSummary, nanoseconds

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DURATION: Final = "greatest(end_ns - start_ns, 0)"
COLUMNS_OF_A_SPAN: Final = (
    f"trace_id, span_id, parent_id, name, kind, start_ns, {DURATION} / 1e9 AS duration, status, status_message,"
    " service, scope_name AS scope, dropped, " + ", ".join(f'"{name}"' for name, _ in CANONICAL)
)

_ROOTS: Final = """
SELECT trace_id, span_id, start_ns FROM all_spans WHERE parent_id IS NULL AND $conditions
ORDER BY start_ns DESC, trace_id DESC LIMIT ?
"""

# A head without a root lies within the page's time and meets the conditions itself; most of these traces have a root.
_CANDIDATES: Final = """
SELECT DISTINCT trace_id FROM all_spans WHERE parent_id IS NOT NULL AND start_ns >= ? AND $conditions
"""

_ROOTED: Final = """
SELECT DISTINCT trace_id FROM all_spans WHERE parent_id IS NULL AND trace_id IN (SELECT unnest(?::VARCHAR[]))
"""

_HEADLESS: Final = """
SELECT trace_id, span_id, start_ns FROM (
    SELECT * FROM all_spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))
    QUALIFY row_number() OVER (PARTITION BY trace_id ORDER BY start_ns, span_id) = 1
) WHERE $conditions ORDER BY start_ns DESC, trace_id DESC LIMIT ?
"""

_HEADS: Final = """
SELECT $span FROM all_spans
WHERE start_ns BETWEEN ? AND ? AND trace_id || span_id IN (SELECT unnest(?::VARCHAR[]))
ORDER BY start_ns DESC, trace_id DESC
"""

_SUMS: Final = """
SELECT trace_id, count(*), count(*) FILTER (status = 'error'),
       COALESCE(sum(input_tokens), 0)::BIGINT, COALESCE(sum(output_tokens), 0)::BIGINT,
       count(*) FILTER (kind = 'server' AND parent_id IS NOT NULL AND COALESCE(input_tokens, output_tokens) IS NOT NULL)
FROM all_spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY trace_id
"""

# Of traces with a call that both of its ends may tell.
_PLACES: Final = """
SELECT trace_id, span_id, parent_id, kind = 'server', input_tokens, output_tokens
FROM all_spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))
"""

_Head = tuple[str, str, int]
"""``trace_id``, ``span_id``, ``start_ns``."""


def list_traces(connection: DuckDBPyConnection, wanted: TraceFilter, limit: int, after: Cursor | None) -> TracePage:
    """Return a page of traces; ``after`` is the cursor of the page before."""
    conditions, parameters = filter_sql(wanted)
    if after is not None:
        conditions += " AND (start_ns < ? OR (start_ns = ? AND trace_id < ?))"
        parameters += [after.start_ns, after.start_ns, after.trace_id]
    roots: list[_Head] = connection.execute(
        Template(_ROOTS).substitute(conditions=conditions), [*parameters, limit + 1]
    ).fetchall()
    since = roots[-1][2] if len(roots) > limit else 0
    rooted = {head[0] for head in roots}
    headless = _without_root(connection, conditions, [since, *parameters], rooted, limit)
    heads = sorted([*roots, *headless], key=lambda head: (head[2], head[0]), reverse=True)
    page = heads[:limit]
    last = page[-1] if len(heads) > limit else None
    return TracePage(
        traces=_summaries(connection, page, {head[0] for head in headless}),
        next=last and Cursor(start_ns=last[2], trace_id=last[0]),
    )


def filter_sql(wanted: TraceFilter) -> tuple[str, list[Any]]:
    """Return the condition that the head of a trace meets, with its parameters."""
    conditions, parameters = ["true"], list[Any]()

    def add(condition: str, value: object) -> None:
        if value is not None:
            conditions.append(condition)
            parameters.append(value)

    for column in ("run", "flow", "experiment", "variant", "status"):
        add(f'"{column}" = ?', getattr(wanted, column))
    add("contains(lower(name), lower(?))", wanted.name)
    add("start_ns >= ?", None if wanted.since is None else nanoseconds(wanted.since))
    add("start_ns < ?", None if wanted.until is None else nanoseconds(wanted.until))
    add(f"{DURATION} >= ?", None if wanted.min_duration is None else round(wanted.min_duration * 1e9))
    return " AND ".join(conditions), parameters


def to_span(row: tuple[Any, ...]) -> Span:
    """Return the span of a row of ``COLUMNS_OF_A_SPAN``."""
    return Span(**dict(zip(Span.__struct_fields__, row, strict=True)))


def _without_root(
    connection: DuckDBPyConnection, conditions: str, parameters: list[Any], rooted: set[str], limit: int
) -> list[_Head]:
    found = connection.execute(Template(_CANDIDATES).substitute(conditions=conditions), parameters).fetchall()
    candidates = {row[0] for row in found} - rooted
    if candidates:
        candidates -= {row[0] for row in connection.execute(_ROOTED, [list(candidates)]).fetchall()}
    if not candidates:
        return []
    sql = Template(_HEADLESS).substitute(conditions=conditions)
    return connection.execute(sql, [list(candidates), *parameters[1:], limit + 1]).fetchall()


def _summaries(connection: DuckDBPyConnection, page: list[_Head], headless: set[str]) -> tuple[TraceSummary, ...]:
    if not page:
        return ()
    keys = [trace_id + span_id for trace_id, span_id, _ in page]
    rows = connection.execute(
        Template(_HEADS).substitute(span=COLUMNS_OF_A_SPAN), [page[-1][2], page[0][2], keys]
    ).fetchall()
    sums = connection.execute(_SUMS, [[head[0] for head in page]]).fetchall()
    figures: dict[str, tuple[int, int, int, int]] = {row[0]: row[1:5] for row in sums}
    for trace_id, tokens in _told_twice(connection, [row[0] for row in sums if row[5]]).items():
        figures[trace_id] = (*figures[trace_id][:2], *tokens)
    return tuple(_summary(head, head.trace_id not in headless, figures[head.trace_id]) for head in map(to_span, rows))


def _told_twice(connection: DuckDBPyConnection, traces: list[str]) -> dict[str, tuple[int, int]]:
    places: dict[str, list[Place]] = {trace_id: [] for trace_id in traces}
    for row in connection.execute(_PLACES, [traces]).fetchall() if traces else ():
        places[row[0]].append(Place(*row[1:]))
    return {trace_id: spent(found) for trace_id, found in places.items()}


def _summary(head: Span, complete: bool, figures: tuple[int, int, int, int]) -> TraceSummary:
    spans, errors, input_tokens, output_tokens = figures
    return TraceSummary(
        head=head,
        complete=complete,
        spans=spans,
        errors=errors,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
