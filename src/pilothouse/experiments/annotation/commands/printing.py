"""Queues, items and figures as the terminal shows them; what others wrote is made visible and harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from pilothouse.core.terminal import table
from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.types import Progress, Queue, Task
from pilothouse.experiments.reports.visible import plain, reveal, shorten

MOST_TEXT = 3000
MOST_OF_ALL = 200_000


def facts(queue: Queue, progress: Progress | None = None) -> Table:
    """Return what a queue is, and how far."""
    spec = queue.spec
    choosing = spec.choosing
    how = "; ".join(choosing.filters) or "all"
    rows: list[tuple[str, Any]] = [
        (queue.name, queue.status),
        ("question", reveal(queue.question.question)),
        ("rubric", queue.rubric),
        ("answers", ", ".join(choice.word for choice in queue.question.choices) or "a text"),
        ("items", f"{queue.items:,} of {choosing.rows:,} rows: {how}{', a random sample' if choosing.sampled else ''}"),
        ("from", spec.source.label or spec.source.ref),
        ("labels wanted", f"{spec.overlap} an item"),
    ]
    if spec.source.candidate:
        rows.append(("blind pair", f"{spec.source.candidate} against {spec.source.baseline}"))
    if spec.source.judge:
        rows.append(("judge", spec.source.judge + (", shown once an item is labelled" if spec.reveals else ", hidden")))
    if progress is not None:
        rows += _progress(progress)
    return table(None, ["", ""], rows)


def _progress(progress: Progress) -> list[tuple[str, str]]:
    rows = [("labels", f"{progress.labels:,} of {progress.wanted:,}; {progress.complete:,} items complete")]
    if progress.reviewers:
        rows.append(("reviewers", ", ".join(f"{name} {count:,}" for name, count in progress.reviewers.items())))
    if progress.skips:
        rows.append(("skipped by somebody", f"{progress.skips:,} items"))
    if progress.disagreed:
        settled = f"; {progress.adjudicated:,} adjudicated" if progress.adjudicated else ""
        rows.append(("reviewers differ on", f"{progress.disagreed:,} items{settled}"))
    return rows


def show_task(out: Console, queue: Queue, task: Task, heading: str, *, whole: bool = False) -> None:
    """Print an item as a reviewer sees it."""
    question = queue.question
    limit = MOST_OF_ALL if whole else MOST_TEXT
    out.print(Rule(Text(heading), align="left", style="dim"))
    _section(out, "", task.item.inputs, limit)
    answers = task.answers
    for number, answer in enumerate(answers, 1):
        _section(out, f"answer {number}" if len(answers) > 1 else "answer", answer, limit)
    if task.item.reference:
        _section(out, "reference", task.item.reference, limit)
    out.print()
    out.print(Text(reveal(question.question), style="bold"))
    if question.guidance:
        out.print(Text(reveal(question.guidance), style="dim"))


def keys(question: Question) -> Text:
    """Return the answers that may be given, with their keys."""
    said = Text()
    for choice in question.choices:
        word = choice.word if question.kind != "pairwise" else choice.meaning
        meaning = f" ({reveal(choice.meaning)})" if choice.meaning and question.kind != "pairwise" else ""
        said.append(choice.key, style="bold")
        said.append(f" {reveal(word)}{meaning}   " if word != choice.key else f"{meaning}   ")
    return said


def _section(out: Console, title: str, values: Mapping[str, Any], limit: int) -> None:
    if title:
        out.print(Text(title, style="bold cyan"))
    single = bool(title) and len(values) == 1
    for name, value in values.items():
        if not single:
            out.print(Text(reveal(name), style="cyan"))
        text = plain(value) if isinstance(value, str) else _pretty(value)
        out.print(Padding(Text(shorten(reveal(text), limit)), (0, 0, 0, 2)))


def _pretty(value: Any) -> str:
    return msgspec.json.format(plain(value), indent=2) if isinstance(value, dict | list) else plain(value)


def matrix(first: str, second: str, words: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """Return a table of what two raters said."""
    shown = table(None, [f"{reveal(first)} \\ {reveal(second)}", *(f">{reveal(word)}" for word in words)])
    for word, row in zip(words, counts, strict=True):
        shown.add_row(Text(reveal(word)), *map(str, row))
    return shown
