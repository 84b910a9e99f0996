"""`pilothouse experiment import`: runs and prompts brought from an MLflow server."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.tracking.mlflow.bringing import Brought, Wanted, bring
from pilothouse.experiments.tracking.mlflow.connecting import connected
from pilothouse.experiments.tracking.mlflow.prompt_files import PromptFile, write_prompts
from pilothouse.experiments.tracking.targets import address_of


@click.command(name="import")
@click.argument("source", metavar="mlflow:ADDRESS")
@click.argument("runs", nargs=-1)
@click.option("--name", "experiment", help="The MLflow experiment whose runs are wanted.")
@click.option("--table", "table_name", help="The table with the rows; rows.json or eval_results_table.json.")
@click.option("--output", "outputs", multiple=True, metavar="COLUMN", help="A column of the table that is an output.")
@click.option(
    "--prompts", type=click.Path(path_type=Path, file_okay=False), help="Write the registry's prompts into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_(
    services: Services,
    source: str,
    runs: tuple[str, ...],
    experiment: str | None,
    table_name: str | None,
    outputs: tuple[str, ...],
    prompts: Path | None,
    as_json: bool,
) -> None:
    """Bring runs of an MLflow experiment here, all or those of RUNS, with their params, metrics and rows.

    They can be shown, judged and compared row by row. Ends with 1 when the rows of one could not be read.
    """
    if experiment is None and prompts is None:
        raise UserError("it is not said what to bring", expected="--name EXPERIMENT, --prompts FOLDER or both")
    environment = services.settings.environment
    with connected(address_of(source, environment), environment) as server:
        wanted = Wanted(experiment=experiment or "", runs=runs, table=table_name, outputs=outputs)
        done = list(bring(services, server, wanted)) if experiment is not None else []
        files = list(write_prompts(server, prompts)) if prompts is not None else []
    if as_json:
        emit_json({"runs": done, "prompts": files})
    else:
        _print(done, files)
    if any(item.broken for item in done) or any(item.reason for item in files):
        raise click.exceptions.Exit(1)


def _print(done: list[Brought], files: list[PromptFile]) -> None:
    screen = console()
    if done:
        rows = [(item.run, item.status or "left alone", item.rows, item.metrics, item.params) for item in done]
        screen.print(table(None, ("run", "status", ">rows", ">metrics", ">params"), rows))
    for item in done:
        if item.broken or item.exists:
            screen.print(Text(f"{item.name}: {item.reason}"), soft_wrap=True)
    for file in files:
        screen.print(Text(f"{file.name} version {file.version}: {file.reason or file.path}"), soft_wrap=True)
    bare = sum(1 for item in done if item.status and not item.rows and not item.broken)
    if bare:
        screen.print(f"{bare:,} of {len(done):,} runs have no table of rows", markup=False)
    with_rows = [item.run for item in done if item.rows]
    if len(with_rows) > 1:
        screen.print(Text(f"next: pilothouse experiment compare {with_rows[0]} {with_rows[1]}"), soft_wrap=True)
