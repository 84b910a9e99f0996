"""`migrate verify`: a recorded run through the flow of today, compared row by row."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from pilothouse.core.errors import NotFound, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, progress
from pilothouse.experiments.migration.history.books import home_folder, known_runs, recorded
from pilothouse.experiments.migration.history.own import from_own
from pilothouse.experiments.migration.history.types import Recording
from pilothouse.experiments.migration.verify.printing import print_verification
from pilothouse.experiments.migration.verify.replay import Replay, Request, replay
from pilothouse.experiments.migration.verify.types import Rules
from pilothouse.experiments.migration.verify.verdicts import verification
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.runs.runfile import parse_pairs, parse_variants
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Progress
from pilothouse.models.service import ModelService


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--against", required=True, metavar="RUN", help="A run folder, or a run of prompt flow or ours by name.")
@click.option("--data", help="Replay these rows in place of the recorded inputs: the data that the run was given.")
@click.option("--column-mapping", "-m", multiple=True, help="INPUT='${data.column}', with --data; the recorded else.")
@click.option("--variant", "-v", multiple=True, help="'${node.variant_id}'; the recorded one by default.")
@click.option("--init", multiple=True, help="NAME=VALUE for the class of a flex flow; the recorded by default.")
@click.option("--replay-models", is_flag=True, help="Answer nodes that ask models from the record.")
@click.option("--replay-node", multiple=True, metavar="NODE", help="Answer this node from the record too.")
@click.option("--tolerance", type=click.FloatRange(0), default=1e-9, show_default=True, help="For numbers, relative.")
@click.option("--ignore-space", is_flag=True, help="Texts may differ in white space.")
@click.option("--similar", type=click.FloatRange(0, 1), metavar="SHARE", help="Texts may differ in 1 - SHARE of words.")
@click.option("--allow-explained", is_flag=True, help="End with 0 where all that differs is prompt flow's own fault.")
@click.option("--concurrency", type=click.IntRange(1), help="Rows in flight.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows shown at most.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
@click.pass_obj
def verify(services: Services, path: Path, against: str, as_json: bool, limit: int, **given: Any) -> None:
    """Run the recorded rows of a prompt flow run through the flow at PATH and compare the outcome.

    Ends with 0 when all rows and metrics are equal, with 1 when something differs, with 2 for wrong usage.
    """
    recording = _recording(services, against)
    rules = Rules(tolerance=given["tolerance"], ignore_space=given["ignore_space"], similar=given["similar"])
    if given["column_mapping"] and given["data"] is None:
        raise UserError("--column-mapping needs --data", expected="the recorded inputs are mapped already")
    request = Request(
        flow=path,
        data=given["data"],
        column_mapping=parse_pairs(list(given["column_mapping"]), "--column-mapping"),
        variants=parse_variants(list(given["variant"])),
        init=parse_pairs(list(given["init"]), "--init"),
        replay_models=given["replay_models"],
        replay_nodes=given["replay_node"],
        rules=rules,
        concurrency=given["concurrency"],
    )
    done = verification(recording, _replayed(services, recording, request), rules)
    if as_json:
        emit_json(done)
    else:
        print_verification(console(), done, limit=limit)
    if not done.is_accepted(explained=given["allow_explained"]):
        raise click.exceptions.Exit(1)


def _recording(services: Services, ref: str) -> Recording:
    home = home_folder(services.settings.environment)
    found = recorded(ref, home)
    if found is not None:
        return found
    runs = services.get(RunService)
    try:
        run = runs.get(ref)
    except NotFound as error:
        names = [*(facts.name for facts in known_runs(home)), *(run.name for run in runs.list())]
        raise NotFound(
            f"there is no recorded run '{ref}'",
            expected=nearest_hint(ref, names) if names else f"the name of a run below {home}, or its folder",
            fix="name its folder, or a run that `pilothouse migrate runs` or `pilothouse run list` shows",
        ) from error
    return from_own(run, runs.rows(run))


def _replayed(services: Services, recording: Recording, request: Request) -> Replay:
    """Replay with a bar of progress; Ctrl-C ends it tidily."""

    async def go() -> Replay:
        stop = Stop()
        try:
            with catch_signals(stop):
                return await replay(services, recording, request, stop=stop, on_progress=show)
        finally:
            await services.get(ModelService).aclose()

    with progress() as bar:
        task = bar.add_task(f"replaying {recording.facts.name}", total=len(recording.rows))

        def show(seen: Progress) -> None:
            bar.update(task, completed=seen.counts.done, total=seen.counts.total)

        return asyncio.run(go())
