"""`run export`: a run as files for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.experiments.runs.exports.formats import FORMATS, ExportFormat
from pilothouse.experiments.runs.service import RunService


@click.command()
@click.argument("ref")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--format", "export_format", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.pass_obj
def export(services: Services, ref: str, folder: Path, export_format: ExportFormat) -> None:
    """Write the run REF as files."""
    for path in services.get(RunService).export(ref, folder, export_format):
        click.echo(str(path))
