"""`pilothouse experiment plan`."""

from __future__ import annotations

from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.commands import options
from pilothouse.experiments.design.plan import GOAL, ExperimentPlan
from pilothouse.experiments.service import ExperimentService


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
