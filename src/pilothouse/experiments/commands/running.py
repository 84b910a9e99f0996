"""Running an experiment in a terminal: progress while it goes, what it found at the end, what to type next."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from pilothouse.core.errors import PilothouseError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, progress
from pilothouse.experiments.arms import ExperimentProgress
from pilothouse.experiments.commands import options
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.reports.terminal import terminal_report
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.service import ExperimentService, Finding
from pilothouse.experiments.tracking.commands.log import told
from pilothouse.experiments.tracking.service import TrackingService

LINE_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""


def run_and_tell(services: Services, file: Path, overrides: Overrides, *, fresh: bool, as_json: bool) -> int:
    """Run an experiment file and print what it found; return the exit code."""
    experiments = services.get(ExperimentService)
    path = options.found(services.root, file)

    async def go(show: Callable[[ExperimentProgress], None]) -> Finding:
        stop = Stop()
        with catch_signals(stop, _tell_stopping):
            return await experiments.run(path, overrides=overrides, fresh=fresh, on_progress=show, stop=stop)

    with _display() as show:
        finding = asyncio.run(go(show))
    if as_json:
        files = {name: str(getattr(finding.files, name)) for name in finding.files.__struct_fields__}
        emit_json({**msgspec.structs.asdict(finding), "files": files})
    else:
        _print_finding(finding, path, services.root)
    _log(services, finding)
    for fault in finding.faults[:1]:
        click.echo((fault.error.traceback or str(fault)).rstrip(), err=True)
    return 1 if finding.failed or finding.faults else 0


def _log(services: Services, finding: Finding) -> None:
    """Log the experiment where the settings say so; a tracker that does not answer spoils no run."""
    tracking = services.get(TrackingService)
    if tracking.default is None:
        return
    try:
        lines = told(tracking.log(finding.record.ref))
    except PilothouseError as error:
        lines = [
            f"not logged: 1 experiment could not be logged to the tracker: {error}",
            f"try again: pilothouse experiment log {finding.record.ref}",
        ]
    for line in lines:
        click.echo(line, err=True)


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
        out.print(f"{label:8} {options.shown(file)}", markup=False, soft_wrap=True)
    out.print()
    for line in _next(finding, path, root):
        out.print(line, markup=False, soft_wrap=True)


def _next(finding: Finding, path: Path, root: Path) -> list[str]:
    program = "pilothouse" if Path.cwd().is_relative_to(root) else f"pilothouse -C {shlex.quote(options.shown(root))}"
    lines = [f"next: {program} experiment report {finding.record.ref} --open"]
    if finding.failed:
        failed = next(arm for arm in finding.comparison.arms if arm.failed)
        lines.append(
            f"      {program} run show {failed.run} --failed    why rows failed; run the experiment again to retry"
        )
    if finding.comparison.outcome == "inconclusive":
        file = shlex.quote(options.shown(path))
        lines.append(f"      {program} experiment plan {file}    how many rows would tell the variants apart")
    if finding.record.definition.gate is not None:
        lines.append(f"      {program} experiment gate {shlex.quote(options.shown(path))}    whether it may be used")
    lines.append("      edit a prompt or an evaluator and run again: what did not change is taken from cache")
    return lines
