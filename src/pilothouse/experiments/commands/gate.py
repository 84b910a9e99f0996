"""`pilothouse experiment gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pilothouse.core.errors import NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.commands import options
from pilothouse.experiments.gates.junit import junit
from pilothouse.experiments.gates.markdown import markdown, verdict
from pilothouse.experiments.gates.service import GateService
from pilothouse.experiments.gates.types import Decision, Outcome, rows_text
from pilothouse.experiments.reports.visible import reveal
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import ExperimentRecord

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 4}
"""2 and 3 are taken: a mistake in the file or the command, and a fault of the machinery."""

MOST_SHOWN = 6
"""Ids of rows on the terminal; the files and `--json` have more."""

FILES = (".yaml", ".yml")
_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}


@click.command()
@click.argument("ref", metavar="NAME[:NUMBER]|FILE")
@click.option("--variant", help="The variant to judge, instead of the one that the gate names.")
@click.option("--baseline", help="Alias, number, NAME@ALIAS or a JSON file, instead of the one that the gate names.")
@click.option("--common-rows", is_flag=True, help="Compare with a baseline over other data, on rows that both have.")
@click.option(
    "--inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="End as if it had passed or failed, when nothing can be told.",
)
@click.option("--junit", "xml", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML there.")
@click.option(
    "--markdown", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a comment for a pull request."
)
@click.option("--url", help="Where the report can be read, for the comment's link.")
@options.as_json
@click.pass_obj
def gate(
    services: Services,
    ref: str,
    variant: str | None,
    baseline: str | None,
    common_rows: bool,
    inconclusive: Literal["pass", "fail"] | None,
    xml: Path | None,
    page: Path | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Judge what an experiment found by its gate.

    Nothing is run. FILE takes the gate as it is written now, NAME:NUMBER the one of the last run.

    Ends with 0 = pass, 1 = fail, 4 = inconclusive; 2 = a mistake in the file or the command, 3 = a fault such as a full
    disk.
    """
    decision = services.get(GateService).decide(
        _record(services, ref), variant=variant, baseline=_baseline(services.root, baseline), common_rows=common_rows
    )
    if xml is not None:
        write_atomic(xml, junit(decision, inconclusive or "inconclusive"))
    if page is not None:
        write_atomic(page, markdown(decision, url).encode("utf-8", "backslashreplace"))
    if as_json:
        emit_json(decision)
    else:
        _print(decision)
    counted = inconclusive if inconclusive is not None and decision.outcome == "inconclusive" else decision.outcome
    return EXIT_CODES[counted]


def _record(services: Services, ref: str) -> ExperimentRecord:
    experiments = services.get(ExperimentService)
    if ref.endswith(FILES):
        return experiments.recorded(options.found(services.root, Path(ref)))
    return experiments.get(ref)


def _baseline(root: Path, ref: str | None) -> str | None:
    """Return a baseline as the project knows it: a file is one of the folder where the command was typed."""
    if ref is None or not ref.endswith(".json"):
        return ref
    path = Path.cwd() / ref
    if not path.is_file() and not (root / ref).is_file():
        raise NotFound(
            f"there is no file {ref}", where="--baseline", fix="pilothouse experiment bless NAME --file FILE"
        )
    return str(path if path.is_file() else root / ref)


def _print(decision: Decision) -> None:
    out = console()
    cells = [[rule.outcome, rule.name, rule.figure, rule.reason] for rule in decision.rules]
    out.print(table(f"Gate of {decision.experiment} ({decision.variant})", ["", "rule", "figure", "why"], cells))
    for rule in decision.rules:
        if rule.rows:
            out.print(f"{rule.name}: rows {reveal(rows_text(rule, MOST_SHOWN))}", markup=False)
    for note in decision.notes:
        out.print(note, style="bold yellow", markup=False)
    out.print(verdict(decision), style=_STYLES[decision.outcome], markup=False)
