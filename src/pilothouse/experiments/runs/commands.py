"""Run a flow over data, open its rows, resume it, export it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from pilothouse.core.errors import Interrupted, UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, progress, table
from pilothouse.experiments.runs.exports.formats import FORMATS, ExportFormat
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.runs.runfile import load_run_file, named, parse_pairs, parse_variants, within
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Isolation, Progress, RowStatus, Run, RunRow, RunSpec
from pilothouse.models.service import ModelService

OnProgress = Callable[[Progress], None]
Work = Callable[[Stop, OnProgress], Coroutine[Any, Any, Run]]

#: Seconds between two lines of progress where there is no terminal.
LINE_EVERY = 5.0
ERRORS_SHOWN = 3
ISOLATIONS = get_args(Isolation)
#: Options that stand in the spec as they are given.
PLAIN = (
    *("id_column", "source_run", "name", "concurrency", "repeat"),
    *("limit", "timeout", "isolation", "max_failures"),
)
CELL_WIDTH = 200


@click.group()
def run() -> None:
    """Run a flow over data, open its rows, resume it, export it."""


@run.command()
@click.option("--flow", "flow_path", type=click.Path(path_type=Path), help="The flow's folder or file.")
@click.option("--data", help="A data file or folder, or dataset:NAME[:VERSION|@ALIAS].")
@click.option("--id-column", help="The column of a data file that names its rows.")
@click.option("--run", "source_run", help="A run whose outputs are judged (name, id or 'latest').")
@click.option("--column-mapping", "-m", multiple=True, help="INPUT='${data.column}', ${run.outputs.x} or a literal.")
@click.option("--variant", "-v", multiple=True, help="'${node.variant_id}'; once for each node.")
@click.option("--connections", multiple=True, help="NODE.PARAMETER=VALUE, such as classify.connection=azure.")
@click.option("--file", "-f", "run_file", type=click.Path(path_type=Path, exists=True), help="A run file (run.yml).")
@click.option("--again", metavar="RUN", help="The spec of a past run.")
@click.option("--name", help="A unique name.")
@click.option("--tag", multiple=True, help="KEY=VALUE.")
@click.option("--concurrency", type=click.IntRange(1), help="Rows in flight.")
@click.option("--repeat", type=click.IntRange(1), help="Times every row is run.")
@click.option("--limit", type=click.IntRange(1), help="Only the first rows.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds a row may take.")
@click.option("--isolation", type=click.Choice(ISOLATIONS), help="process: rows run in processes that can be killed.")
@click.option("--max-failures", type=click.IntRange(0), help="Failed rows that are accepted; 0 by default.")
@click.option("--no-cache", is_flag=True, help="Call every node anew.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON.")
@click.pass_obj
def create(services: Services, as_json: bool, no_cache: bool, **given: Any) -> int:
    """Run a flow over every row of some data."""
    runs = services.get(RunService)
    base, notes = _base(runs, services.root, given)
    spec = _spec(services.root, base, given)
    if no_cache:
        spec = msgspec.structs.replace(spec, use_cache=False)
    for note in notes:
        console(stderr=True).print(f"note: {note}", markup=False)
    ended = _watch(services, lambda stop, show: runs.execute(spec, stop=stop, on_progress=show))
    return _finish(runs, ended, as_json=as_json)


@run.command()
@click.argument("ref")
@click.option("--failed-only", is_flag=True, help="Run failed rows again, not those that were never begun.")
@click.option("--force", is_flag=True, help="Go on though the flow or the data changed.")
@click.option("--isolation", type=click.Choice(ISOLATIONS), help="Where rows run from now on.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON.")
@click.pass_obj
def resume(services: Services, ref: str, as_json: bool, **how: Any) -> int:
    """Run the rows of REF that have no answer yet, and aggregate again."""
    runs = services.get(RunService)
    if runs.get(ref).status == "completed":
        console(stderr=True).print("every row has its answer already: nothing was run", markup=False)

    def work(stop: Stop, show: OnProgress) -> Coroutine[Any, Any, Run]:
        return runs.resume(ref, stop=stop, on_progress=show, **how)

    ended = _watch(services, work)
    return _finish(runs, ended, as_json=as_json)


@run.command(name="list")
@click.option("--experiment", help="Only runs of this experiment.")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="The latest runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.pass_obj
def list_(services: Services, experiment: str | None, limit: int, as_json: bool) -> None:
    """List runs, the latest first."""
    found = services.get(RunService).list(experiment=experiment, limit=limit)
    if as_json:
        emit_json(found)
        return
    console().print(table(None, ["run", "status", ">rows", ">time"], map(_listed, found)))
    if not found:
        console().print("there is no run yet: pilothouse run create --flow PATH --data FILE", markup=False)


@run.command()
@click.argument("ref", default="latest")
@click.option("--rows", "with_rows", is_flag=True, help="Show the rows.")
@click.option("--failed", is_flag=True, help="Show the rows without an answer.")
@click.option("--line", help="Show one row with all its nodes, by its id.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows shown at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the record, or one row a line.")
@click.pass_obj
def show(
    services: Services, ref: str, with_rows: bool, failed: bool, line: str | None, limit: int, as_json: bool
) -> None:
    """Show the run REF (name, id or 'latest'), and its rows."""
    runs = services.get(RunService)
    found = runs.get(ref)
    if not with_rows and not failed and line is None:
        if as_json:
            emit_json(found)
        else:
            _summary(runs, found)
        return
    rows = _rows(runs, found, failed=failed) if line is None else iter(runs.line(found, line))
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    if line is not None:
        for row in rows:
            _open(row)
        return
    shown = list(islice(rows, limit + 1))
    console().print(
        table(f"Rows of {found.name}", ["line", "status", ">s", "outputs or error"], map(_cells, shown[:limit]))
    )
    if len(shown) > limit:
        console().print(f"the first {limit}; --limit N shows more, --json all", markup=False)


@run.command()
@click.argument("ref")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--format", "export_format", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.pass_obj
def export(services: Services, ref: str, folder: Path, export_format: ExportFormat) -> None:
    """Write the run REF as files."""
    for path in services.get(RunService).export(ref, folder, export_format):
        click.echo(str(path))


@run.command()
@click.argument("ref")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(services: Services, ref: str, yes: bool) -> None:
    """Delete the run REF and its rows."""
    runs = services.get(RunService)
    found = runs.get(ref)
    if not yes:
        click.confirm(f"delete the run '{found.name}' and its {found.counts.done:,} rows?", abort=True)
    runs.delete(found.id)
    click.echo(f"deleted {found.name}")


def _base(runs: RunService, root: Path, given: dict[str, Any]) -> tuple[RunSpec | None, list[str]]:
    """Return the spec that the command line changes: of a run file, of a past run, or none."""
    if given["run_file"] is not None and given["again"] is not None:
        raise UserError("both a run file and a past run are given", expected="--file or --again")
    if given["run_file"] is not None:
        return load_run_file(given["run_file"], root)
    if given["again"] is not None:
        return msgspec.structs.replace(runs.get(given["again"]).spec, name=None), []
    return None, []


def _spec(root: Path, base: RunSpec | None, given: dict[str, Any]) -> RunSpec:
    """Return the spec of a run file, overruled by what the command line names."""
    changes: dict[str, Any] = {}
    if given["flow_path"] is not None:
        changes["flow"] = within(root, named(root, given["flow_path"]))
    if given["data"] is not None:
        is_version = given["data"].startswith("dataset:")
        changes["data"] = given["data"] if is_version else within(root, named(root, Path(given["data"])))
    for key in PLAIN:
        if given[key] is not None:
            changes[key] = given[key]
    for key, texts in (("column_mapping", given["column_mapping"]), ("tags", given["tag"])):
        if texts:
            changes[key] = {**(getattr(base, key) if base is not None else {}), **parse_pairs(list(texts), key)}
    if given["variant"]:
        changes["variants"] = {**(base.variants if base is not None else {}), **parse_variants(list(given["variant"]))}
    if given["connections"]:
        changes["connections"] = _connections(given["connections"])
    if base is not None:
        return msgspec.structs.replace(base, **changes)
    if "flow" not in changes:
        raise UserError("a run needs a flow", expected="--flow PATH or --file run.yml")
    return RunSpec(**changes)


def _connections(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in parse_pairs(list(texts), "--connections").items():
        node, dot, parameter = key.partition(".")
        if not dot:
            raise UserError(f"'{key}={value}' names no node", where="--connections", expected="NODE.PARAMETER=VALUE")
        found.setdefault(node, {})[parameter] = value
    return found


def _watch(services: Services, work: Work) -> Run:
    """Run ``work`` with live progress; Ctrl-C ends it tidily, a second Ctrl-C at once."""

    def tell(is_urgent: bool) -> None:
        text = "stopping at once" if is_urgent else "stopping: rows in flight may finish; Ctrl-C again stops at once"
        console(stderr=True).print(text, markup=False)

    async def go(show: OnProgress) -> Run:
        stop = Stop()
        try:
            with catch_signals(stop, tell):
                return await work(stop, show)
        finally:
            await services.get(ModelService).aclose()

    with _display() as show:
        return asyncio.run(go(show))


@contextmanager
def _display() -> Generator[OnProgress]:
    """Show progress as a bar on a terminal, as a line now and then elsewhere."""
    bar = progress()
    if not bar.console.is_terminal:
        yield _lines_of_progress()
        return
    with bar:
        task = bar.add_task("starting", total=None)
        yield lambda seen: bar.update(
            task, description=_glance(seen), completed=seen.counts.done, total=seen.counts.total
        )


def _lines_of_progress() -> OnProgress:
    shown = time.monotonic()

    def show(seen: Progress) -> None:
        nonlocal shown
        if time.monotonic() - shown >= LINE_EVERY:
            shown = time.monotonic()
            total = f" of {seen.counts.total:,}" if seen.counts.total is not None else ""
            left = f", about {_seconds(seen.eta)} left" if seen.eta is not None else ""
            click.echo(f"{seen.counts.done:,}{total} rows, {_glance(seen)}{left}", err=True)

    return show


def _glance(seen: Progress) -> str:
    parts = [seen.phase if seen.phase != "rows" else f"{seen.rows_per_second:,.0f} rows/s"]
    if seen.counts.unsuccessful:
        parts.append(f"{seen.counts.unsuccessful:,} failed")
    if seen.counts.cached:
        parts.append(f"{seen.counts.cached:,} cached")
    if seen.tokens:
        parts.append(f"{seen.tokens_per_second:,.0f} tok/s")
    return ", ".join(parts)


def _finish(runs: RunService, ended: Run, *, as_json: bool) -> int:
    if as_json:
        emit_json(ended)
    else:
        _summary(runs, ended)
    if ended.status == "interrupted":
        raise Interrupted(
            f"the run '{ended.name}' was stopped after {ended.counts.done:,} rows; they are kept",
            fix=f"pilothouse run resume {ended.name}",
        )
    return 0 if ended.within_limit else 1


def _summary(runs: RunService, ended: Run) -> None:
    out = console()
    rows = [["status", ended.status], *_facts(ended), *[[key, f"{value:.6g}"] for key, value in ended.metrics.items()]]
    out.print(table(f"Run {ended.name}", ["", ""], rows))
    if ended.error is not None:
        out.print(f"error: {ended.error.message}", markup=False)
    for note in (*ended.notes, *ended.attempts[-1].notes):
        out.print(f"note: {note}", markup=False)
    if ended.counts.unsuccessful:
        for row in islice(_rows(runs, ended, failed=True), ERRORS_SHOWN):
            out.print(f"row {row.line_id}: {_error(row)}", markup=False)
    out.print(f"next: {_next(ended)}", markup=False, soft_wrap=True)


def _facts(ended: Run) -> Iterator[list[str]]:
    counts, totals = ended.counts, ended.totals
    parts = [f"{counts.completed:,} completed", f"{counts.failed:,} failed"]
    if counts.missing:
        parts.append(f"{counts.missing:,} without a source row")
    if counts.cached:
        parts.append(f"{counts.cached:,} from the cache")
    yield ["rows", f"{counts.done:,} of {counts.total:,}: " * (counts.total is not None) + ", ".join(parts)]
    last = ended.attempts[-1]
    rate = f" ({last.rows / last.duration:,.0f} rows/s)" if last.rows and last.duration > 0 else ""
    yield ["time", f"{_taken(ended)}{rate}"]
    if totals.usage.total_tokens or totals.cached_usage.total_tokens:
        saved = totals.cached_usage.total_tokens
        text = f"{totals.usage.input_tokens:,} in, {totals.usage.output_tokens:,} out"
        yield ["tokens", text + (f"; {saved:,} saved by the cache" if saved else "")]
    if totals.cost is not None or totals.unpriced:
        cost = f"${totals.cost:.6f}" if totals.cost is not None else "unknown"
        yield ["cost", cost + (f" ({totals.unpriced:,} calls have no known price)" if totals.unpriced else "")]
    yield ["flow", f"{ended.flow.path} {_choices(ended)}".strip()]
    if ended.data is not None:
        yield ["data", ended.data.source]


def _choices(ended: Run) -> str:
    return ", ".join(f"{node}={variant}" for node, variant in ended.variants.items())


def _next(ended: Run) -> str:
    if ended.counts.failed:
        return f"pilothouse run resume {ended.name}    (pilothouse run show {ended.name} --failed)"
    if ended.status == "interrupted":
        return f"pilothouse run resume {ended.name}"
    return f"pilothouse run show {ended.name} --rows"


def _rows(runs: RunService, found: Run, *, failed: bool) -> Iterator[RunRow]:
    if not failed:
        yield from runs.rows(found)
        return
    without: tuple[RowStatus, ...] = ("failed", "missing")
    for status in without:
        yield from runs.rows(found, status=status)


def _open(row: RunRow) -> None:
    out = console()
    nodes = [[node.node, node.status, f"{node.duration:.3f}", _shortened(_json(node.output))] for node in row.nodes]
    out.print(table(f"Row {row.line_id}, {row.status}", ["node", "status", ">s", "output"], nodes))
    out.print(f"inputs: {_json(row.inputs)}\noutputs: {_json(row.outputs)}", markup=False)
    if row.error is not None:
        out.print(f"error: {_error(row)}\n{row.error.traceback or ''}".rstrip(), markup=False)
    for note in row.notes:
        out.print(f"note: {note}", markup=False)
    if row.trace_id is not None:
        out.print(f"next: pilothouse trace show {row.trace_id[:12]}", markup=False)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _shortened(text: str) -> str:
    return text if len(text) <= CELL_WIDTH else text[:CELL_WIDTH] + "..."


def _listed(found: Run) -> list[str]:
    total = found.counts.total if found.counts.total is not None else found.counts.done
    return [found.name, found.status, f"{found.counts.completed:,}/{total:,}", _taken(found)]


def _cells(row: RunRow) -> list[str]:
    text = _json(row.outputs) if row.status == "completed" else _error(row)
    number = row.line_id if not row.repeat else f"{row.line_id} #{row.repeat + 1}"
    return [number, row.status, f"{row.duration:.2f}", _shortened(text)]


def _error(row: RunRow) -> str:
    if row.error is None:
        return ""
    text = f"{row.error.node}: {row.error.message}" if row.error.node else row.error.message
    # What user code raised may hold codes that a terminal obeys.
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def _taken(found: Run) -> str:
    """Return the time of all attempts; how long one took that was killed, nobody measured."""
    if all(attempt.ended_at is not None for attempt in found.attempts):
        return _seconds(found.duration)
    return f"over {_seconds(found.duration)}" if found.duration > 0 else "unknown"


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
