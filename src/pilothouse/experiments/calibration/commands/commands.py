"""Judges: calibrate them against labels of people, list what is known of them."""

from __future__ import annotations

import click

from pilothouse.experiments.calibration.commands.calibrate import calibrate
from pilothouse.experiments.calibration.commands.listing import list_


@click.group()
def judge() -> None:
    """Calibrate judges against labels of people."""


judge.add_command(calibrate)
judge.add_command(list_)
