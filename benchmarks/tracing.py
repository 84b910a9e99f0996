"""What tracing costs: a span written, a span ingested, bytes kept, and the time of each query.

    python benchmarks/tracing.py [--spans 200000] [--folder .]

CPU time per span is the dependable figure on a busy machine; wall times are the best of several runs.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context

from pilothouse.tracing import conventions as names
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import TraceFilter
from pilothouse.tracing.writer import SpanWriter

MODELS = ("gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5", "smollm2-135m", "gemini-2.5-flash")
WORDS = [f"w{number:05}" for number in range(20_000)]
NODES_PER_LINE = 3
SAMPLE = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000, help="spans in the store; 1000000 takes some minutes")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary store is made")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pilothouse-bench-", dir=arguments.folder))
    try:
        measure(folder, arguments.spans)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, spans: int) -> None:
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {spans:,} spans\n")
    sdk, ours = capture_cost(folder / "capture")
    row("making a span, OpenTelemetry and the script", f"{sdk:.1f} µs CPU/span")
    row("capture, from its end to the synced segment", f"{ours:.1f} µs CPU/span")
    written = write(folder, spans)
    row("segment", f"{written / spans:,.0f} bytes/span")
    with SpanStore(folder, memory_limit="1GB") as store:
        ingest_and_query(store, spans)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row("peak memory of this process", f"{peak:,.0f} MB")


class Collect(SpanProcessor):
    """Keeps the spans that ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep one."""
        self.spans.append(span)


def capture_cost(folder: Path) -> tuple[float, float]:
    """Return µs of CPU per span: OpenTelemetry's own, and ours from the span's end to the synced segment."""
    collected, generator = Collect(), random.Random(7)
    sdk = writing = float("inf")
    for attempt in range(3):
        tracer = _tracer(collected if attempt == 0 else SpanProcessor())
        started = time.process_time()
        for line in range(SAMPLE // (NODES_PER_LINE + 1)):
            _line(tracer, generator, line, line)
        sdk = min(sdk, (time.process_time() - started) / SAMPLE * 1e6)
    gc.freeze()  # the collected spans are not part of what is measured
    for _ in range(5):
        writer = SpanWriter(folder)
        started = time.process_time()
        for span in collected.spans:
            writer.on_end(span)
        writer.flush()
        writing = min(writing, (time.process_time() - started) / len(collected.spans) * 1e6)
        writer.shutdown()
    shutil.rmtree(folder)
    return sdk, writing


def write(folder: Path, spans: int) -> int:
    """Write lines of a flow with three nodes, one of them a model's, spread over three days; return the bytes."""
    writer = SpanWriter(folder / "incoming")
    tracer = _tracer(writer)
    generator = random.Random(7)
    lines = spans // (NODES_PER_LINE + 1)
    start = int(datetime.now(UTC).timestamp() * 1e9) - 3 * 86_400_000_000_000
    step = 3 * 86_400_000_000_000 // max(lines, 1)
    for line in range(lines):
        _line(tracer, generator, line, start + line * step)
    writer.flush()
    writer.shutdown()
    return sum(path.stat().st_size for path in (folder / "incoming").iterdir())


def _line(tracer: Tracer, generator: random.Random, line: int, at: int) -> None:
    told = {names.RUN: f"run-{line // 5000}", names.FLOW: "classify", names.LINE: str(line)}
    root = tracer.start_span("line", attributes=told, start_time=at)
    inside = set_span_in_context(root)
    for node in range(NODES_PER_LINE):
        model = node == 1
        span = tracer.start_span(
            "chat" if model else f"node {node}",
            context=inside,
            kind=SpanKind.CLIENT if model else SpanKind.INTERNAL,
            attributes=_call(generator) if model else {names.NODE: f"n{node}", names.RESULT: '"positive"'},
            start_time=at + node * 1_000_000,
        )
        if model and generator.random() < 0.02:
            span.set_status(StatusCode.ERROR, "overloaded")
        span.end(at + node * 1_000_000 + int(generator.expovariate(1 / 800)) * 1_000_000 + 1)
    root.end(at + 5_000_000)


def _call(generator: random.Random) -> dict[str, str | int | float]:
    return {
        names.OPERATION: names.CHAT,
        names.PROVIDER: "openai",
        names.REQUEST_MODEL: generator.choice(MODELS),
        names.REQUEST_TEMPERATURE: 0.0,
        names.INPUT_TOKENS: generator.randrange(100, 2000),
        names.OUTPUT_TOKENS: generator.randrange(1, 400),
        names.INPUT_MESSAGES: " ".join(generator.choices(WORDS, k=200)),
        names.OUTPUT_MESSAGES: " ".join(generator.choices(WORDS, k=60)),
    }


def ingest_and_query(store: SpanStore, spans: int) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    report = store.ingest()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    row("ingest", f"{cpu / report.spans * 1e6:.0f} µs CPU/span, {report.spans / wall:,.0f} spans/s")
    stats = store.stats()
    row("database", f"{stats.database_bytes / stats.spans:,.0f} bytes/span")
    queries(store, "live")
    wall = time.perf_counter()
    sealed = store.seal(datetime.now(UTC) + timedelta(days=1))
    wall = time.perf_counter() - wall
    stats = store.stats()
    row(
        f"seal {sealed.spans:,} spans",
        f"{wall:.1f} s, {stats.sealed_bytes / max(stats.sealed_spans, 1):,.0f} bytes/span",
    )
    row("database after sealing", f"{stats.database_bytes / 1e6:.1f} MB")
    queries(store, "sealed")


def queries(store: SpanStore, state: str) -> None:
    page = store.list_traces(TraceFilter(), 50, None)
    some = page.traces[25].head.trace_id
    row(f"{state}: latest 50 traces", best(lambda: store.list_traces(TraceFilter(), 50, None)))
    row(f"{state}: 50 traces of one run", best(lambda: store.list_traces(TraceFilter(run="run-1"), 50, None)))
    row(f"{state}: 50 failed traces", best(lambda: store.list_traces(TraceFilter(status="error"), 50, None)))
    row(f"{state}: find a trace by its beginning", best(lambda: store.find_trace(some[:12])))
    row(f"{state}: open a trace", best(lambda: store.trace(some, 200)))
    row(f"{state}: one span's payload", best(lambda: store.payload(some, store.trace(some, 1).spans[0].span.span_id)))
    row(f"{state}: p50, p95, tokens, errors by model", best(lambda: store.models(TraceFilter())))
    row(f"{state}: the same of one run", best(lambda: store.models(TraceFilter(run="run-1"))))


def best(question: Callable[[], object]) -> str:
    times: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        question()
        times.append(time.perf_counter() - started)
    return f"{min(times) * 1e3:.1f} ms"


def row(what: str, figure: str) -> None:
    print(f"{what:<44} {figure}")


def _tracer(processor: SpanProcessor) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider.get_tracer("benchmark")


if __name__ == "__main__":
    main()
