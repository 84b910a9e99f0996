"""`judge list`: what is known of judges."""

from __future__ import annotations

import click
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.evaluation.calibration.service import CalibrationService
from pilothouse.evaluation.calibration.wording import words


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """List the judges that were calibrated, the latest first."""
    found = services.get(CalibrationService).list()
    if as_json:
        emit_json(
            [{"ref": version.ref, "calibrated": version.created_at, "calibration": item} for version, item in found]
        )
        return
    shown = table(None, ["judge", "version", "calibrated", "says"])
    for version, item in found:
        shown.add_row(Text(item.judge), item.version[:12], f"{version.created_at:%Y-%m-%d %H:%M}", words(item))
    console().print(shown)
