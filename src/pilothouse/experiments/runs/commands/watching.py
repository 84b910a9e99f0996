"""A run in motion as a person sees it: a bar on a terminal, a line now and then elsewhere; Ctrl-C ends it tidily."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, progress
from pilothouse.experiments.runs.commands.printing import seconds
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.runs.types import Progress, Run
from pilothouse.models.service import ModelService

OnProgress = Callable[[Progress], None]
Work = Callable[[Stop, OnProgress], Coroutine[Any, Any, Run]]

#: Seconds between two lines of progress where there is no terminal.
LINE_EVERY = 5.0


def watch(services: Services, work: Work, *, prints_aside: bool = False) -> Run:
    """Run ``work`` with live progress; Ctrl-C ends it tidily, a second Ctrl-C at once.

    With ``prints_aside`` what tools print goes to standard error, so that JSON stays JSON.
    """

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

    aside = redirect_stdout(sys.stderr) if prints_aside else nullcontext()
    with display() as show, aside:
        return asyncio.run(go(show))


@contextmanager
def display() -> Generator[OnProgress]:
    """Show progress as a bar on a terminal, as a line now and then elsewhere."""
    if not console(stderr=True).is_terminal:
        yield _lines_of_progress()
        return
    with progress() as bar:
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
            left = f", about {seconds(seen.eta)} left" if seen.eta is not None else ""
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
