"""`pilothouse experiment log`: an experiment told to MLflow or Weights & Biases."""

from __future__ import annotations

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import emit_json
from pilothouse.experiments.tracking.service import TrackingService
from pilothouse.experiments.tracking.types import Logged


@click.command()
@click.argument("ref", default="latest")
@click.option("--to", "target", help="mlflow:http://HOST:5000 or wandb:FOLDER; the setting experiments.tracking.")
@click.option("--name", "group", help="The MLflow experiment or W&B project; the experiment's own name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def log(services: Services, ref: str, target: str | None, group: str | None, as_json: bool) -> None:
    """Log the experiment REF to an MLflow server, or as offline runs of Weights & Biases.

    REF is a name, name:number, an id, the beginning of one, or 'latest'. Logged again, what is there is updated.
    """
    done = services.get(TrackingService).log(ref, target, group)
    if as_json:
        emit_json(done)
        return
    for line in told(done):
        click.echo(line)


def told(done: Logged) -> list[str]:
    """Return what was logged, in words."""
    parts = [f"{done.runs:,} runs" + (f" ({done.updated:,} were there)" if done.updated else ""), f"{done.rows:,} rows"]
    parts += [f"{count:,} {noun}" for count, noun in ((done.prompts, "prompts"), (done.models, "models")) if count]
    return [f"logged {', '.join(parts)}: {done.target}", *(f"note: {note}" for note in done.notes)]
