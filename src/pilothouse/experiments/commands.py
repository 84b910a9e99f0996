"""Try variants of a flow on data, compare them, report."""

from __future__ import annotations

import asyncio
import shlex
import time
import webbrowser
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE
from pilothouse.core.terminal import console, emit_json, progress, table
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.file import Overrides, evaluator_name
from pilothouse.experiments.plan import GOAL, ExperimentPlan
from pilothouse.experiments.reports.terminal import terminal_report
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.runs.runfile import named, parse_pairs
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.service import ExperimentProgress, ExperimentService, Finding
from pilothouse.experiments.types import EvaluatorUse, ExperimentRecord

LINE_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""

_SOURCES = ("data.", "run.inputs.", "run.outputs.", "row.")

_data = click.option("--data", help="Your own CSV, TSV, JSONL or Parquet file or folder, or dataset:NAME.")
_map = click.option(
    "--map", "pairs", multiple=True, metavar="NAME=SOURCE",
    help="INPUT=data.COLUMN for the flow, EVALUATOR.ARGUMENT=data.COLUMN for an evaluator.",
)  # fmt: skip
_rows = click.option("--rows", type=click.IntRange(1), help="Only the first rows.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def experiment() -> None:
    """Try variants of a flow on data, compare them, report."""


@experiment.command()
@click.argument("file", type=click.Path(path_type=Path))
@_data
@_map
@click.option("--no-cache", is_flag=True, help="Do everything anew: take nothing that was done before.")
@_rows
@_json
@click.pass_obj
def run(
    services: Services,
    file: Path,
    data: str | None,
    pairs: tuple[str, ...],
    no_cache: bool,
    rows: int | None,
    as_json: bool,
) -> int:
    """Run the experiment FILE, or go on with it.

    Prints the comparison, where the reports are, and what to type next. Ends with 1 when rows or evaluators failed.
    """
    experiments = services.get(ExperimentService)
    overrides = _overrides(data, pairs, rows)
    path = _found(services.root, file)

    async def go(show: Callable[[ExperimentProgress], None]) -> Finding:
        stop = Stop()
        with catch_signals(stop, _tell_stopping):
            return await experiments.run(path, overrides=overrides, fresh=no_cache, on_progress=show, stop=stop)

    with _display() as show:
        finding = asyncio.run(go(show))
    if as_json:
        files = {name: str(getattr(finding.files, name)) for name in finding.files.__struct_fields__}
        emit_json({**msgspec.structs.asdict(finding), "files": files})
    else:
        _print_finding(finding, path, services.root)
    for fault in finding.faults[:1]:
        click.echo((fault.error.traceback or str(fault)).rstrip(), err=True)
    return 1 if finding.failed or finding.faults else 0


@experiment.command()
@click.argument("file", type=click.Path(path_type=Path))
@_data
@_map
@_rows
@_json
@click.pass_obj
def plan(
    services: Services, file: Path, data: str | None, pairs: tuple[str, ...], rows: int | None, as_json: bool
) -> None:
    """Show what the experiment FILE takes and can find.

    Nothing is run and no model is called.
    """
    planned = services.get(ExperimentService).plan(_found(services.root, file), _overrides(data, pairs, rows))
    if as_json:
        emit_json(planned)
    else:
        _print_plan(planned)


@experiment.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B...")
@click.option("--evaluator", "-e", "sources", multiple=True, help="A built-in's name, file.py:Name, or a flow.")
@click.option(
    "--map", "pairs", multiple=True, metavar="ARGUMENT=SOURCE", help="[EVALUATOR.]ARGUMENT=run.outputs.X or data.X"
)
@click.option("--metric", help="The metric that decides.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Seed of the resampling.")
@_json
@click.pass_obj
def compare(
    services: Services, runs: tuple[str, ...], sources: tuple[str, ...], pairs: tuple[str, ...], metric: str | None,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Compare runs over the same data; the first is the baseline.

    Without --evaluator, the evaluators of the experiment that the first run belongs to are taken.
    """
    experiments = services.get(ExperimentService)
    uses = _uses(sources, pairs) if sources else _uses_of(services, runs[0])
    found = asyncio.run(experiments.compare(runs, uses, primary=metric, seed=seed))
    if as_json:
        emit_json(found)
        return
    for part in terminal_report(found):
        console().print(part)


@experiment.command()
@click.argument("ref", default="latest")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@click.pass_obj
def report(services: Services, ref: str, opened: bool) -> None:
    """Write the reports of the experiment REF again.

    REF is a name, name:number, an id, the beginning of one, or 'latest'.
    """
    files = services.get(ExperimentService).report(ref)
    for path in (files.html, files.rows, files.summary):
        click.echo(_shown(path))
    if opened:
        webbrowser.open(files.html.resolve().as_uri())


@experiment.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="The latest experiments.")
@_json
@click.pass_obj
def list_(services: Services, limit: int, as_json: bool) -> None:
    """List experiments, the latest first."""
    found = services.get(ExperimentService).list(limit)
    if as_json:
        emit_json(found)
        return
    if not found:
        console().print("there is no experiment yet: pilothouse experiment run FILE", markup=False)
        return
    rows = [
        [item.ref, item.status, len(item.definition.variants), f"{item.updated_at:%Y-%m-%d %H:%M}", item.report or ""]
        for item in found
    ]
    console().print(table(None, ["experiment", "status", ">variants", "last run (UTC)", "report"], rows))


@experiment.command()
@click.argument("ref", default="latest")
@_json
@click.pass_obj
def show(services: Services, ref: str, as_json: bool) -> None:
    """Show the experiment REF and what it found.

    REF is a name, name:number, an id, the beginning of one, or 'latest'.
    """
    experiments = services.get(ExperimentService)
    record = experiments.get(ref)
    found = experiments.comparison(ref) if record.comparison is not None else None
    if as_json:
        emit_json({"record": record, "comparison": found})
        return
    _print_record(record)
    if found is not None:
        for part in terminal_report(found):
            console().print(part)


def _overrides(data: str | None, pairs: Sequence[str], rows: int | None) -> Overrides:
    return Overrides(data=data, column_mapping=_mapping(pairs), limit=rows, folder=Path.cwd())


def _mapping(pairs: Sequence[str]) -> dict[str, Any]:
    """Return ``NAME=SOURCE`` pairs as a mapping; ``data.x`` may be written for ``${data.x}``, which shells eat."""
    found = parse_pairs(list(pairs), "--map")
    return {name: f"${{{value}}}" if value.startswith(_SOURCES) else value for name, value in found.items()}


def _uses(sources: Sequence[str], pairs: Sequence[str]) -> list[EvaluatorUse]:
    mapping = _mapping(pairs)
    names = [evaluator_name(source) for source in sources]
    uses: list[EvaluatorUse] = []
    for name, source in zip(names, sources, strict=True):
        own = {key: value for key, value in mapping.items() if "." not in key}
        own |= {key.removeprefix(f"{name}."): value for key, value in mapping.items() if key.startswith(f"{name}.")}
        spec = EvaluatorSpec(name=name, source=source, where=f"--evaluator {source}")
        uses.append(EvaluatorUse(spec=spec, column_mapping=own))
    return uses


def _uses_of(services: Services, ref: str) -> list[EvaluatorUse]:
    run = services.get(RunService).get(ref)
    if run.spec.experiment is None:
        raise UserError(
            f"the run '{run.name}' belongs to no experiment, so nothing says how to judge it",
            fix="name an evaluator: --evaluator classification --map prediction=run.outputs.X --map truth=data.Y",
        )
    return list(services.get(ExperimentService).get(run.spec.experiment).definition.evaluators)


def _found(root: Path, file: Path) -> Path:
    """Return the file that is meant; in another project there are other connections, data and settings."""
    path = named(root, file)
    home = next((folder for folder in path.resolve().parents if (folder / FILE).is_file()), None)
    if home is not None and home != root.resolve():
        raise UserError(
            f"this file belongs to the project in {home}, not to {root}",
            where=_shown(path),
            fix=f"pilothouse -C {shlex.quote(str(home))} experiment ...",
        )
    return path


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _tell_stopping(is_urgent: bool) -> None:
    text = "stopping at once" if is_urgent else "stopping: rows in flight may finish; Ctrl-C again stops at once"
    console(stderr=True).print(text, markup=False)


@contextmanager
def _display() -> Generator[Callable[[ExperimentProgress], None]]:
    """Show a bar for each variant on a terminal, a line now and then elsewhere."""
    bars = progress()
    if not bars.console.is_terminal:
        yield _lines_of_progress()
        return
    tasks: dict[int, Any] = {}

    def show(seen: ExperimentProgress) -> None:
        if seen.position not in tasks:
            tasks[seen.position] = bars.add_task("", total=seen.total)
        bars.update(tasks[seen.position], description=_glance(seen), completed=seen.done, total=seen.total)

    with bars:
        yield show


def _lines_of_progress() -> Callable[[ExperimentProgress], None]:
    last: tuple[int, str] | None = None
    shown = 0.0

    def show(seen: ExperimentProgress) -> None:
        nonlocal last, shown
        total = f"{seen.total:,}" if seen.total is not None else "?"
        begins = (seen.position, seen.phase) != last
        if begins or time.monotonic() - shown >= LINE_EVERY:
            last, shown = (seen.position, seen.phase), time.monotonic()
            count = f"{total} rows" if begins else f"{seen.done:,} of {total} rows"
            click.echo(f"{_glance(seen)}: {count}", err=True)

    return show


def _glance(seen: ExperimentProgress) -> str:
    text = f"{seen.position + 1}/{seen.variants} {seen.variant}"
    if seen.phase == "scoring":
        return f"{text}, judging"
    if seen.run is None:
        return text
    parts = [text]
    if seen.run.rows_per_second:
        parts.append(f"{seen.run.rows_per_second:,.1f} rows/s")
    if seen.run.counts.unsuccessful:
        parts.append(f"{seen.run.counts.unsuccessful:,} failed")
    if seen.run.counts.cached:
        parts.append(f"{seen.run.counts.cached:,} cached")
    return ", ".join(parts)


def _print_finding(finding: Finding, path: Path, root: Path) -> None:
    out = console()
    for part in terminal_report(finding.comparison):
        out.print(part)
    calls = finding.calls
    if calls.total:
        out.print(f"taken from cache: {calls.cached:,} of {calls.total:,} calls", markup=False)
    if finding.rows_before:
        out.print(f"rows answered before: {finding.rows_before:,} of {finding.rows:,}", markup=False)
    out.print()
    for label, file in (
        ("report", finding.files.html),
        ("rows", finding.files.rows),
        ("figures", finding.files.summary),
    ):
        out.print(f"{label:8} {_shown(file)}", markup=False, soft_wrap=True)
    out.print()
    for line in _next(finding, path, root):
        out.print(line, markup=False, soft_wrap=True)


def _next(finding: Finding, path: Path, root: Path) -> list[str]:
    program = "pilothouse" if Path.cwd().is_relative_to(root) else f"pilothouse -C {shlex.quote(_shown(root))}"
    lines = [f"next: {program} experiment report {finding.record.ref} --open"]
    if finding.failed:
        failed = next(arm for arm in finding.comparison.arms if arm.failed)
        lines.append(
            f"      {program} run show {failed.run} --failed    why rows failed; run the experiment again to retry"
        )
    if finding.comparison.outcome == "inconclusive":
        file = shlex.quote(_shown(path))
        lines.append(f"      {program} experiment plan {file}    how many rows would tell the variants apart")
    lines.append("      edit a prompt or an evaluator and run again: what did not change is taken from cache")
    return lines


def _print_record(record: ExperimentRecord) -> None:
    rows = [
        ["status", record.status],
        ["file", record.definition.path or ""],
        ["flow", record.definition.flow],
        ["data", record.definition.data],
        ["last run", f"{record.updated_at:%Y-%m-%d %H:%M} UTC"],
        ["report", record.report or ""],
        *([f"run {link.variant.name}", link.run] for link in record.runs),
    ]
    console().print(table(f"Experiment {record.ref}", ["", ""], rows))


def _print_plan(planned: ExperimentPlan) -> None:
    out = console()
    rows = [
        [
            f"{arm.name} *" if arm.name == planned.baseline else arm.name,
            _choices(arm.choices),
            arm.done,
            arm.calls_per_row,
        ]
        for arm in planned.arms
    ]
    out.print(table(f"Plan of {planned.name}", ["variant", "choices", ">rows done", ">calls a row"], rows))
    repeats = f" x {planned.repeats} repeats" if planned.repeats > 1 else ""
    out.print(
        f"{planned.rows:,} rows{repeats} x {len(planned.arms)} variants = {planned.lines:,}; "
        f"{planned.done:,} are answered already. At most {planned.calls:,} model calls, "
        "fewer where the node cache has the answer.",
        markup=False,
    )
    if not planned.detectable:
        return
    cells = [
        [
            numbers.percent(item.disagreement),
            "none" if item.difference is None else numbers.score(item.difference),
            numbers.count(item.rows_for_goal),
        ]
        for item in planned.detectable
    ]
    title = f"What {planned.rows:,} rows can find, 4 times out of 5"
    columns = ["if variants disagree on", ">differences from", f">rows for {GOAL:g}"]
    out.print(table(title, columns, cells))
    out.print(
        f"for metrics that are right or wrong; alpha {planned.alpha:g} over {planned.comparisons} comparisons with "
        f"'{planned.baseline}' (Holm)",
        markup=False,
    )


def _choices(choices: dict[str, str]) -> str:
    return ", ".join(f"{node}={variant}" for node, variant in choices.items())
