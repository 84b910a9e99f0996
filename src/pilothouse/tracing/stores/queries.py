"""One trace, one span, and figures by model. Every query reads the views, so sealed and live spans answer alike."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Final

import msgspec

from pilothouse.core.errors import NotFound, UserError
from pilothouse.tracing.normaliser import content
from pilothouse.tracing.stores.listing import COLUMNS_OF_A_SPAN, DURATION, filter_sql, to_span
from pilothouse.tracing.stores.tokens import Place, spent
from pilothouse.tracing.types import ModelUsage, SpanPayload, Trace, TraceFilter, TreeSpan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OUTLINE: Final = """
SELECT span_id, parent_id, start_ns, greatest(end_ns, start_ns), status = 'error',
       kind = 'server', input_tokens, output_tokens
FROM all_spans WHERE trace_id = ? ORDER BY start_ns, span_id
"""

_PAGE: Final = """
SELECT $span FROM all_spans
WHERE trace_id = ? AND start_ns BETWEEN ? AND ? AND span_id IN (SELECT unnest(?::VARCHAR[]))
"""

# The start lets the engine pass over everything that lies at another time.
_PAYLOAD: Final = """
SELECT attributes, events, links, resource FROM all_payloads WHERE trace_id = ? AND start_ns = ? AND span_id = ?
"""

_MODELS: Final = """
SELECT provider, COALESCE(response_model, request_model) AS model, operation, count(*),
       count(*) FILTER (status = 'error'),
       quantile_cont($duration / 1e9, 0.5), quantile_cont($duration / 1e9, 0.95),
       COALESCE(sum(input_tokens), 0)::BIGINT, COALESCE(sum(output_tokens), 0)::BIGINT,
       COALESCE(sum(cached_input_tokens), 0)::BIGINT, COALESCE(sum(reasoning_tokens), 0)::BIGINT
FROM all_spans WHERE COALESCE(response_model, request_model) IS NOT NULL $within
GROUP BY ALL ORDER BY count(*) DESC, model, provider, operation
"""

# The heads of traces, as the list of traces knows them.
_WITHIN: Final = """
AND trace_id IN (
    SELECT trace_id FROM all_spans WHERE parent_id IS NULL AND $conditions
    UNION ALL
    SELECT trace_id FROM (
        SELECT * FROM all_spans
        WHERE trace_id IN (SELECT trace_id FROM all_spans GROUP BY trace_id HAVING count(*) = count(parent_id))
        QUALIFY row_number() OVER (PARTITION BY trace_id ORDER BY start_ns, span_id) = 1
    ) WHERE $conditions
)
"""

_CANDIDATES_SHOWN: Final = 5


def find_trace(connection: DuckDBPyConnection, prefix: str) -> str:
    """Return the id of the one trace whose id begins with ``prefix``.

    Raises:
        NotFound: when there is none.
        UserError: when there are several.
    """
    rows = connection.execute(
        "SELECT DISTINCT trace_id FROM all_spans WHERE starts_with(trace_id, ?) ORDER BY 1 LIMIT ?",
        [prefix.lower(), _CANDIDATES_SHOWN + 1],
    ).fetchall()
    if not rows:
        raise NotFound(f"there is no trace '{prefix}'", fix="pilothouse trace list shows what is recorded")
    if len(rows) > 1:
        listed = ", ".join(row[0] for row in rows[:_CANDIDATES_SHOWN])
        more = ", and more" if len(rows) > _CANDIDATES_SHOWN else ""
        raise UserError(
            f"several traces begin with '{prefix}'", expected=f"one of {listed}{more}", fix="type more of it"
        )
    return rows[0][0]


def read_trace(connection: DuckDBPyConnection, trace_id: str, limit: int, offset: int) -> Trace:
    """Return spans ``offset`` to ``offset + limit`` of a trace in the order of its tree.

    The tree is laid out over ids and figures alone; columns are read for the spans of the page only.
    """
    outline = connection.execute(_OUTLINE, [trace_id]).fetchall()
    starts: dict[str, int] = {row[0]: row[2] for row in outline}
    places = _layout([(row[0], row[1]) for row in outline])[offset : offset + limit]
    shown = [place[0] for place in places]
    bounds = [min((starts[span] for span in shown), default=0), max((starts[span] for span in shown), default=0)]
    rows = connection.execute(Template(_PAGE).substitute(span=COLUMNS_OF_A_SPAN), [trace_id, *bounds, shown]).fetchall()
    spans = {span.span_id: span for span in map(to_span, rows)}
    start = min(starts.values(), default=0)
    input_tokens, output_tokens = spent([Place(row[0], row[1], *row[5:]) for row in outline])
    return Trace(
        trace_id=trace_id,
        spans=tuple(
            TreeSpan(span=spans[span_id], depth=depth, children=children, orphan=orphan)
            for span_id, depth, children, orphan in places
        ),
        offset=offset,
        total=len(outline),
        errors=sum(row[4] for row in outline),
        start_ns=start,
        duration=(max((row[3] for row in outline), default=0) - start) / 1e9,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def read_payload(connection: DuckDBPyConnection, trace_id: str, prefix: str) -> SpanPayload:
    """Return what the one span whose id begins with ``prefix`` carries besides its columns.

    Raises:
        NotFound: when there is no such span in the trace.
        UserError: when there are several.
    """
    found = connection.execute(
        "SELECT start_ns, span_id FROM all_spans WHERE trace_id = ? AND starts_with(span_id, ?) LIMIT 2",
        [trace_id, prefix.lower()],
    ).fetchall()
    if not found:
        raise NotFound(f"there is no span '{prefix}' in trace '{trace_id}'", fix=f"pilothouse trace show {trace_id}")
    if len(found) > 1:
        raise UserError(f"several spans of trace '{trace_id}' begin with '{prefix}'", fix="type more of it")
    row = connection.execute(_PAYLOAD, [trace_id, *found[0]]).fetchone() or (None, None, None, None)
    attributes, events, links, resource = (msgspec.json.decode(text) if text else None for text in row)
    went_in, came_out = content(attributes or {}, events or [])
    return SpanPayload(
        attributes=attributes or {},
        events=events or [],
        links=links or [],
        resource=resource or {},
        input=went_in,
        output=came_out,
    )


def model_usage(connection: DuckDBPyConnection, wanted: TraceFilter) -> tuple[ModelUsage, ...]:
    """Return calls, latency and tokens by model over the traces that the filter lets through."""
    conditions, parameters = filter_sql(wanted)
    within = Template(_WITHIN).substitute(conditions=conditions) if parameters else ""
    sql = Template(_MODELS).substitute(duration=DURATION, within=within)
    fields = ModelUsage.__struct_fields__
    rows = connection.execute(sql, [*parameters, *parameters]).fetchall()
    return tuple(ModelUsage(**dict(zip(fields, row, strict=True))) for row in rows)


def _layout(outline: list[tuple[str, str | None]]) -> list[tuple[str, int, int, bool]]:
    """Lay a trace out as a tree: ``(span_id, depth, children, orphan)``, parents first, in the order given.

    Spans whose parent is missing stand at the top; so does one span of a circle, which hostile ids may form.
    """
    known = {span_id for span_id, _ in outline}
    children: dict[str | None, list[str]] = {}
    for span_id, parent_id in outline:
        children.setdefault(parent_id if parent_id in known else None, []).append(span_id)
    orphans = {span_id for span_id, parent_id in outline if parent_id is not None and parent_id not in known}
    placed: list[tuple[str, int, int, bool]] = []
    seen: set[str] = set()
    tops = [*children.get(None, []), *(span_id for span_id, _ in outline)]
    for top in tops:
        waiting = [(top, 0)]
        while waiting:
            span_id, depth = waiting.pop()
            if span_id in seen:
                continue
            seen.add(span_id)
            below = children.get(span_id, [])
            placed.append((span_id, depth, len(below), span_id in orphans))
            waiting.extend((child, depth + 1) for child in reversed(below))
    return placed
