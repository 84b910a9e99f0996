"""`pilothouse experiment plan`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.facts import settings_text
from pilothouse.experiments.commands import options
from pilothouse.experiments.design.effects import GOAL
from pilothouse.experiments.design.estimates import Cost, Time
from pilothouse.experiments.design.plan import ExperimentPlan, PlannedArm, PlannedLooks
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import Variant


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.data
@options.pairs
@options.rows
@options.as_json
@click.pass_obj
def plan(
    services: Services, file: Path, data: str | None, pairs: tuple[str, ...], rows: int | None, as_json: bool
) -> None:
    """Show what the experiment FILE takes and can find.

    Nothing is run and no model is called.
    """
    planned = services.get(ExperimentService).plan(
        options.found(services.root, file), options.overrides(data, pairs, rows)
    )
    if as_json:
        emit_json(planned)
    else:
        _print_plan(planned)


def _print_plan(planned: ExperimentPlan) -> None:
    out = console()
    rows = [
        [
            f"{arm.name} *" if arm.name == planned.baseline else arm.name,
            _content(arm),
            arm.done,
            "?" if arm.calls_per_row is None else arm.calls_per_row,
        ]
        for arm in planned.arms
    ]
    out.print(table(f"Plan of {planned.name}", ["variant", "what it sets", ">rows done", ">calls a row"], rows))
    for line in _amounts(planned):
        out.print(line, markup=False)
    if planned.comparisons:
        _print_effects(planned)


def _amounts(planned: ExperimentPlan) -> Iterator[str]:
    """Yield rows, calls, cost and time in words."""
    over = f" of {len(planned.datasets)} datasets ({', '.join(planned.datasets)})" if planned.datasets else ""
    repeats = f" x {planned.repeats} repeats" if planned.repeats > 1 else ""
    yield (
        f"{planned.rows:,} rows{over}{repeats} x {len(planned.arms)} variants = {planned.lines:,}; "
        f"{planned.done:,} are answered already."
    )
    if planned.looks is not None:
        yield from _looks(planned.looks)
    if any(arm.calls_per_row is None for arm in planned.arms):
        yield "Model calls: unknown, the flow's own code makes them."
    else:
        shared = (
            f"; {planned.shared:,} of them are the same in several variants and made once" if planned.shared else ""
        )
        yield f"At most {planned.calls:,} model calls{shared}, fewer where the node cache has the answer."
    for judge in planned.judges:
        if judge.calls_per_row:
            yield f"'{judge.name}' asks {judge.calls_per_row} models about a row: at most {judge.calls or 0:,} calls."
    yield _cost(planned.cost, asks=any(judge.calls for judge in planned.judges))
    yield _time(planned.time)


def _looks(looks: PlannedLooks) -> Iterator[str]:
    """Yield when the experiment looks, and what that may save."""
    calls = f" and {looks.calls:,} model calls" if looks.calls is not None else ""
    yield (
        f"It looks after {numbers.counted(looks.first, looks.unit)}, then after every {looks.every:,}, at most "
        f"{looks.looks:,} times, and stops when every variant is decided: at least {looks.lines:,} rows{calls}."
    )


def _cost(cost: Cost, *, asks: bool) -> str:
    text = "Cost: unknown"
    if cost.high == 0 and not cost.basis:
        return "Cost: the flow has no model call left to make." + (" Judges not counted." if asks else "")
    if cost.low is not None and cost.high is not None:
        is_one = cost.low == cost.high
        text = f"Cost: about ${cost.high:.4f}" if is_one else f"Cost: ${cost.low:.4f} to ${cost.high:.4f}"
    elif cost.low is not None:
        text = f"Cost: at least ${cost.low:.4f}"
    if cost.input_tokens:
        text += f", {cost.input_tokens:,} input and {cost.output_tokens:,} output tokens"
    known = f" ({'; '.join(cost.basis)})" if cost.basis else ""
    missing = [*cost.unknown, *(["what the judges cost"] if asks else [])]
    return f"{text}{known}." + (f" Not known: {', '.join(missing)}." if missing else "")


def _time(time: Time) -> str:
    if time.seconds is None:
        return "Time: unknown, no run of this flow was measured."
    return f"Time: about {numbers.seconds(time.seconds)}, by {time.basis}; judging not counted."


def _print_effects(planned: ExperimentPlan) -> None:
    out = console()
    cells = [
        [
            numbers.percent(item.disagreement),
            "none" if item.difference is None else numbers.score(item.difference),
            numbers.count(item.rows_for_goal),
        ]
        for item in planned.detectable
    ]
    what = f"clusters ({planned.cluster})" if planned.cluster else "rows"
    title = f"What {planned.units:,} {what} can find, 4 times out of 5"
    columns = [
        "if variants disagree on",
        ">differences from",
        f">{'clusters' if planned.cluster else 'rows'} for {GOAL:g}",
    ]
    out.print(table(title, columns, cells))
    out.print(
        f"for metrics that are right or wrong; alpha {planned.alpha:g} over {planned.comparisons} comparisons with "
        f"'{planned.baseline}' ({'Holm' if planned.looks is None else 'Bonferroni'})",
        markup=False,
    )
    if planned.looks is not None:
        out.print(
            "These are for one look at all rows. Looking while it runs takes about a third more rows to decide, on "
            "average, and ends early where the difference is larger (docs/statistics.md).",
            markup=False,
        )
    for mean in planned.detectable_means:
        if mean.difference is None:
            continue
        size = f"{mean.difference:.3g}"
        known = f"means of {mean.metric}: differences from {size} (deviation {mean.deviation:.3g}, as measured before)"
        text = known if mean.metric else f"means: differences from {size} standard deviations of a row's difference"
        out.print(text, markup=False)
    if planned.cluster:
        out.print("Each cluster is counted once, which is the worst case.", markup=False)
    elif planned.repeats > 1:
        out.print("Repeats of a row are not independent: the rows are what is counted.", markup=False)


def _content(arm: PlannedArm) -> str:
    settings = settings_text(Variant(name=arm.name, settings=arm.settings))
    choices = ", ".join(f"{node}={variant}" for node, variant in arm.choices.items())
    return ", ".join(part for part in (choices, settings) if part)
