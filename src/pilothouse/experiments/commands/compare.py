"""`pilothouse experiment compare`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.commands import options
from pilothouse.experiments.design.file import evaluator_name
from pilothouse.experiments.reports.terminal import terminal_report
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import EvaluatorUse, Experiment


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B...")
@click.option("--evaluator", "-e", "sources", multiple=True, help="A built-in's name, file.py:Name, or a flow.")
@click.option(
    "--map", "pairs", multiple=True, metavar="ARGUMENT=SOURCE", help="[EVALUATOR.]ARGUMENT=run.outputs.X or data.X"
)
@click.option("--metric", help="The metric that decides.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Seed of the resampling.")
@options.as_json
@click.pass_obj
def compare(
    services: Services, runs: tuple[str, ...], sources: tuple[str, ...], pairs: tuple[str, ...], metric: str | None,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Compare runs over the same data; the first is the baseline.

    Without --evaluator, the evaluators of the experiment that the first run belongs to are taken.
    """
    experiments = services.get(ExperimentService)
    asked = None if sources else _experiment_of(services, runs[0])
    uses = asked.evaluators if asked is not None else _uses(sources, pairs)
    cluster = asked.cluster if asked is not None else None
    found = asyncio.run(experiments.compare(runs, uses, primary=metric, seed=seed, cluster=cluster))
    if as_json:
        emit_json(found)
        return
    for part in terminal_report(found):
        console().print(part)


def _uses(sources: Sequence[str], pairs: Sequence[str]) -> list[EvaluatorUse]:
    mapping = options.mapping(pairs)
    names = [evaluator_name(source) for source in sources]
    uses: list[EvaluatorUse] = []
    for name, source in zip(names, sources, strict=True):
        own = {key: value for key, value in mapping.items() if "." not in key}
        own |= {key.removeprefix(f"{name}."): value for key, value in mapping.items() if key.startswith(f"{name}.")}
        spec = EvaluatorSpec(name=name, source=source, where=f"--evaluator {source}")
        uses.append(EvaluatorUse(spec=spec, column_mapping=own))
    return uses


def _experiment_of(services: Services, ref: str) -> Experiment:
    run = services.get(RunService).get(ref)
    if run.spec.experiment is None:
        raise UserError(
            f"the run '{run.name}' belongs to no experiment, so nothing says how to judge it",
            fix="name an evaluator: --evaluator classification --map prediction=run.outputs.X --map truth=data.Y",
        )
    return services.get(ExperimentService).get(run.spec.experiment).definition
