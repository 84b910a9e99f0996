"""Write a pipeline that runs an experiment and its gate."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from pilothouse.core.services import Services
from pilothouse.experiments.gates.pipelines.writing import SERVERS, Server, write_pipeline


@click.group()
def ci() -> None:
    """Write a pipeline that runs an experiment and its gate."""


@ci.command()
@click.option("--for", "server", type=click.Choice(SERVERS), required=True, help="The CI server.")
@click.option(
    "--experiment", type=click.Path(path_type=Path), default="experiment.yaml", show_default=True, help="The file."
)
@click.option("--install", help="What installs the project's packages; else its requirements.txt, or Pilothouse alone.")
@click.pass_obj
def init(services: Services, server: str, experiment: Path, install: str | None) -> None:
    """Write the pipeline file of a CI server; a file that exists is left alone."""
    path = write_pipeline(services.root, cast("Server", server), experiment.as_posix(), install)
    click.echo(str(path.relative_to(services.root)))
