"""`pilothouse experiment bless`."""

from __future__ import annotations

from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.experiments.commands import options
from pilothouse.experiments.gates.service import MAIN, GateService


@click.command()
@click.argument("ref", metavar="NAME[:NUMBER]")
@click.option("--variant", help="The variant to bless, where there are several.")
@click.option("--as", "alias", default=MAIN, show_default=True, help="What gates call it.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to a JSON file, too, to be kept with code.",
)
@click.pass_obj
def bless(services: Services, ref: str, variant: str | None, alias: str, file: Path | None) -> None:
    """Keep what an experiment found as the baseline of its gate.

    The baseline itself never changes: blessing again moves the alias.
    """
    if file is not None and file.suffix != ".json":
        raise click.BadParameter("a baseline is a .json file", param_hint="--file")
    snapshot, version = services.get(GateService).bless(ref, variant=variant, alias=alias, file=file)
    click.echo(f"{version.name}@{alias} is {version.ref}: {snapshot.label}, {len(snapshot.rows):,} rows")
    if file is not None:
        click.echo(options.shown(file))
