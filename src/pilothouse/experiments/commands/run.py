"""`pilothouse experiment run`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.experiments.commands import options
from pilothouse.experiments.commands.running import run_and_tell
from pilothouse.experiments.design.estimates import Cost
from pilothouse.experiments.service import ExperimentService


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.data
@options.pairs
@click.option("--no-cache", is_flag=True, help="Do everything anew: take nothing that was done before.")
@options.rows
@click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Refuse to begin when it would cost more."
)
@click.option("--yes", is_flag=True, help="Begin all the same, at a cost that is higher or unknown.")
@options.compute
@options.workers
@options.as_json
@click.pass_obj
def run(
    services: Services,
    file: Path,
    data: str | None,
    pairs: tuple[str, ...],
    no_cache: bool,
    rows: int | None,
    max_cost: float | None,
    yes: bool,
    as_json: bool,
    **where: Any,
) -> int:
    """Run the experiment FILE, or go on with it.

    Prints the comparison, where the reports are, and what to type next. Ends with 1 when rows or evaluators failed.
    """
    asked = options.overrides(data, pairs, rows, **where)
    if max_cost is not None and not yes:
        plan = services.get(ExperimentService).plan(options.found(services.root, file), asked, fresh=no_cache)
        _refuse_beyond(max_cost, plan.cost)
    return run_and_tell(services, file, asked, fresh=no_cache, as_json=as_json)


def _refuse_beyond(most: float, cost: Cost) -> None:
    """Refuse a run whose cost is known to exceed a limit, or not known.

    Raises:
        UserError: no model was called.
    """
    plan = "pilothouse experiment plan shows how it is estimated; --yes begins all the same"
    if cost.low is None:
        reason = "; ".join(cost.unknown) or "nothing was measured"
        raise UserError(f"what this costs is not known: {reason}", where="--max-cost", fix=plan)
    if cost.low > Decimal(str(most)):
        raise UserError(f"this costs at least ${cost.low:.4f}", where="--max-cost", expected=f"${most:g}", fix=plan)
