"""`pilothouse model compare`: candidates on your own data, by quality, cost and latency."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import structs

from pilothouse.core.services import Services
from pilothouse.experiments.commands import options
from pilothouse.experiments.commands.running import run_and_tell
from pilothouse.experiments.design.candidates import read_candidate


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--candidate", "-c", "candidates", multiple=True, required=True, metavar="CONNECTION[:MODEL]",
    help="A model; twice or more. The first is the baseline.",
)  # fmt: skip
@click.option("--node", "nodes", multiple=True, help="Whose model is exchanged; every node that asks one by default.")
@options.data
@options.pairs
@options.rows
@options.as_json
@click.pass_obj
def compare(
    services: Services,
    file: Path,
    candidates: tuple[str, ...],
    nodes: tuple[str, ...],
    data: str | None,
    pairs: tuple[str, ...],
    rows: int | None,
    as_json: bool,
) -> int:
    """Compare models in the flow of the experiment FILE, on its data and by its evaluators.

    Its variants, axes and gate are put aside. The result is an experiment of its own, NAME-models: its report shows
    quality against cost and latency, with licences and context lengths. Run again, it goes on.
    """
    asked = structs.replace(
        options.overrides(data, pairs, rows),
        candidates=tuple(map(read_candidate, candidates)),
        candidate_nodes=nodes,
    )
    return run_and_tell(services, file, asked, fresh=False, as_json=as_json)
