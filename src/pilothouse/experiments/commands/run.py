"""`pilothouse experiment run`."""

from __future__ import annotations

from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.experiments.commands import options
from pilothouse.experiments.commands.running import run_and_tell


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.data
@options.pairs
@click.option("--no-cache", is_flag=True, help="Do everything anew: take nothing that was done before.")
@options.rows
@options.as_json
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
    return run_and_tell(services, file, options.overrides(data, pairs, rows), fresh=no_cache, as_json=as_json)
