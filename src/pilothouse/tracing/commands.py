"""Look at what happened: list traces, open one as a tree, see what the store holds."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import click
from rich.text import Text

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.tracing.service import TracingService
from pilothouse.tracing.types import (
    Cursor,
    ModelUsage,
    SpanPayload,
    StoreStats,
    Trace,
    TraceFilter,
    TracePage,
    TreeSpan,
)

_ID_SHOWN = 8
_BAR = 16
_FIGURES = 36  # cells of the bar's ends, the time, the tokens and the id
_LIST_FIGURES = 56  # cells of the id, the start and the figures
_NAME = 60
_DEEPEST = 6

_as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--run", help="Only traces of this run."),
            click.option("--flow", help="Only traces of this flow."),
            click.option("--status", type=click.Choice(["error", "ok", "unset"]), help="Only traces that ended so."),
            click.option("--name", help="Only traces whose first span's name holds this text."),
            click.option("--since", type=click.DateTime(), help="Only traces that began then or later (local time)."),
            click.option("--until", type=click.DateTime(), help="Only traces that began before (local time)."),
            click.option("--min-seconds", type=click.FloatRange(min=0), help="Only traces that took this long."),
        )
    ):
        command = option(command)
    return command


@click.group()
def trace() -> None:
    """Look at what happened: every run, node and model call."""


@trace.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Traces on a page.")
@click.option("--after", help="Go on after the page that ended with this mark.")
@_as_json
@click.pass_obj
def list_command(services: Services, limit: int, after: str | None, as_json: bool, **filters: Any) -> None:
    """List traces, the newest first; tokens are in/out."""
    service, wanted = services.get(TracingService), _filter(**filters)
    page = service.list(wanted, limit=limit, after=None if after is None else _cursor(after))
    _tell_losses(service)
    if as_json:
        emit_json(page)
        return
    if not page.traces:
        click.echo("No trace matches." if wanted != TraceFilter() or after else "Nothing is recorded yet.")
        return
    _print_list(page)
    if page.next is not None:
        click.echo(f"More: add --after {page.next.start_ns}:{page.next.trace_id}")


@trace.command("show")
@click.argument("trace_id")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Spans on a page.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Spans to pass over.")
@click.option("--span", "span_id", help="Show all that one span carries: attributes, events, input, output.")
@_as_json
@click.pass_obj
def show_command(
    services: Services, trace_id: str, limit: int, offset: int, span_id: str | None, as_json: bool
) -> None:
    """Show a trace as a tree: when each span ran, for how long, its tokens (in/out) and its id.

    The beginning of the trace's id is enough.
    """
    service = services.get(TracingService)
    if span_id is not None:
        payload = service.payload(trace_id, span_id)
        emit_json(payload) if as_json else _print_payload(payload)
        return
    found = service.show(trace_id, limit=limit, offset=offset)
    _tell_losses(service)
    emit_json(found) if as_json else _print_trace(found)


@trace.command("stats")
@_filters
@_as_json
@click.pass_obj
def stats_command(services: Services, as_json: bool, **filters: Any) -> None:
    """Show what the span store holds and misses, and calls, latency and tokens by model."""
    service = services.get(TracingService)
    with service.own():
        stats, models = service.stats(), service.models(_filter(**filters))
    if as_json:
        emit_json({"store": stats, "models": models})
        return
    console().print(table(None, ["store", ">"], _stats_rows(stats)))
    if models:
        columns = ["provider", "model", "operation", ">calls", ">errors", ">p50 s", ">p95 s", ">tokens in/out"]
        console().print(table(None, columns, map(_model_row, models)))


def _tell_losses(service: TracingService) -> None:
    """Say on standard error what could not be taken over just now: nothing goes missing in silence."""
    rejected, torn = service.ingested.rejected, service.ingested.torn
    if rejected or torn:
        aside = service.folder / "rejected"
        click.echo(f"{rejected} lines are no spans, {torn} were torn by a crash; they are kept in {aside}", err=True)


def _filter(min_seconds: float | None, since: datetime | None, until: datetime | None, **equal: Any) -> TraceFilter:
    return TraceFilter(
        since=since and since.astimezone(), until=until and until.astimezone(), min_duration=min_seconds, **equal
    )


def _cursor(text: str) -> Cursor:
    start, _, trace_id = text.partition(":")
    if not start.isdigit() or not trace_id:
        raise UserError(f"'{text}' is no mark of a page", expected="the text that `trace list` printed after --after")
    return Cursor(start_ns=int(start), trace_id=trace_id)


def _print_list(page: TracePage) -> None:
    """Print one line a trace, however narrow the terminal: the name and the run share what the figures leave."""
    shown = console()
    width = max(20, shown.width - _LIST_FIGURES)
    run_width = min(max((len(item.head.run or "") for item in page.traces), default=0), width // 2)
    heads = f"{'trace':<{_ID_SHOWN}}  {'started':<14}  {'name':<{width - run_width - 1}} {'run':<{run_width}}"
    shown.print(Text(f"{heads} {'seconds':>8} {'spans':>5} {'fail':>4} {'tokens':>9}", style="bold"), soft_wrap=True)
    for item in page.traces:
        head = item.head
        note = "" if item.complete else " (root not recorded)"
        line = Text(f"{head.trace_id[:_ID_SHOWN]}  {head.started_at.astimezone():%m-%d %H:%M:%S}  ")
        line.append_text(_cell(_printable(head.name, _NAME) + note, width - run_width - 1, head.status))
        line.append_text(_cell(f" {_printable(head.run or '', _NAME)}", run_width + 1))
        tokens = _tokens(item.input_tokens, item.output_tokens)
        line.append(f" {head.duration:>8.3f} {item.spans:>5} {item.errors or '':>4} {tokens:>9}")
        shown.print(line, soft_wrap=True)


def _cell(text: str, width: int, status: str = "unset") -> Text:
    cell = Text(text, style="red" if status == "error" else "")
    cell.truncate(width, overflow="ellipsis", pad=True)
    return cell


def _print_trace(found: Trace) -> None:
    shown = console()
    tokens = _tokens(found.input_tokens, found.output_tokens) or "none"
    shown.print(
        f"Trace {found.trace_id}: {found.total} spans, {found.errors} failed, {found.duration:.3f} s, tokens {tokens}",
        soft_wrap=True,
    )
    width = max(20, shown.width - _BAR - _FIGURES)
    for item in found.spans:
        for line in _tree_lines(found, item, width):
            shown.print(line, soft_wrap=True)
    if found.hidden:
        following = found.offset + len(found.spans)
        rest = f"; go on with --offset {following}" if following < found.total else ""
        shown.print(f"{found.hidden} of {found.total} spans are not shown{rest}.")


def _tree_lines(found: Trace, item: TreeSpan, width: int) -> Iterable[Text]:
    """Yield the line of a span, ``width`` cells for its name, and one for its error where it failed."""
    span = item.span
    failed = span.status == "error"
    indent = "  " * min(item.depth, _DEEPEST) + (f"[{item.depth}] " if item.depth > _DEEPEST else "")
    notes = [
        note
        for note, applies in (
            ("parent not recorded", item.orphan),
            ("from cache", span.cache_hit),
            (f"{span.dropped} details cut", span.dropped),
        )
        if applies
    ]
    name = _printable(span.name, _NAME) + (f" ({', '.join(notes)})" if notes else "")
    line = _cell(indent + name, width, span.status)
    line.append_text(_bar(found, item))
    figures = f"{span.duration:>9.3f} s {_tokens(span.input_tokens, span.output_tokens):>11}"
    line.append_text(Text(f"{figures}  {span.span_id[:_ID_SHOWN]}"))
    yield line
    if failed:
        yield Text(f"{indent}  ! {_printable(span.status_message or 'failed', 200)}", style="red")


def _tokens(input_tokens: int | None, output_tokens: int | None) -> str:
    return f"{input_tokens or 0}/{output_tokens or 0}" if input_tokens or output_tokens else ""


def _bar(found: Trace, item: TreeSpan) -> Text:
    """Return when the span ran within the trace, as a bar of `_BAR` cells."""
    first, cells = 0, _BAR
    if found.duration > 0:
        start = (item.span.start_ns - found.start_ns) / 1e9 / found.duration
        first = min(int(start * _BAR), _BAR - 1)
        cells = max(1, min(round(item.span.duration / found.duration * _BAR), _BAR - first))
    return Text("▕" + " " * first + "█" * cells + " " * (_BAR - first - cells) + "▏", style="cyan")


def _print_payload(payload: SpanPayload) -> None:
    shown = console()
    rows = [(_printable(key, 80), _printable(str(value), 4000)) for key, value in sorted(payload.attributes.items())]
    shown.print(table("attributes", ["name", "value"], rows))
    if payload.events:
        events = [
            (_printable(event["name"], 80), _printable(str(event["attributes"]), 4000)) for event in payload.events
        ]
        shown.print(table("events", ["name", "attributes"], events))


def _stats_rows(stats: StoreStats) -> Iterable[tuple[str, Any]]:
    yield "spans", f"{stats.spans:,}"
    yield "traces", f"{stats.traces:,}"
    yield "failed spans", f"{stats.errors:,}"
    if stats.first is not None and stats.last is not None:
        yield "from", f"{stats.first.astimezone():%Y-%m-%d %H:%M:%S}"
        yield "to", f"{stats.last.astimezone():%Y-%m-%d %H:%M:%S}"
    yield "of them sealed", f"{stats.sealed_spans:,}"
    yield "recorded but never arrived", f"{stats.missing:,}"
    yield "lines that are no spans", f"{stats.rejected:,}"
    yield "torn by a crash", f"{stats.torn:,}"
    yield "database", f"{stats.database_bytes / 1e6:.1f} MB"
    yield "sealed files", f"{stats.sealed_files}, {stats.sealed_bytes / 1e6:.1f} MB"
    yield "segments in use", f"{stats.waiting_bytes / 1e6:.1f} MB"


def _model_row(usage: ModelUsage) -> list[Any]:
    return [
        _printable(usage.provider or "", _NAME),
        _printable(usage.model or "", _NAME),
        _printable(usage.operation or "", _NAME),
        usage.calls,
        usage.errors or "",
        f"{usage.p50:.3f}",
        f"{usage.p95:.3f}",
        _tokens(usage.input_tokens, usage.output_tokens),
    ]


def _printable(text: str, limit: int) -> str:
    """Return text that cannot steer the terminal: control and formatting characters are shown, not sent."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        character if unicodedata.category(character)[0] != "C" else repr(character)[1:-1] for character in short
    )
