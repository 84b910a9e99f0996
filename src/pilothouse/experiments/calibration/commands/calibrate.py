"""`judge calibrate`: verdicts beside labels."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, progress, table
from pilothouse.evaluation.calibration.labels import LabelColumns
from pilothouse.evaluation.calibration.types import Calibration, Part, Value
from pilothouse.evaluation.calibration.wording import share_in_words, words
from pilothouse.evaluation.judges.rubric import Kind
from pilothouse.experiments.calibration.service import JudgeService
from pilothouse.experiments.calibration.types import Ask, Calibrated
from pilothouse.experiments.runs.runfile import named

_PAIRWISE = {1.0: "candidate", 0.0: "baseline", 0.5: "tie"}
MOST_SHOWN = 20


@click.command()
@click.argument("source", metavar="EXPERIMENT|FILE")
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="CSV, TSV, JSONL, Parquet: id, label.")
@click.option("--judge", "name", default="", help="The judge; not needed where the experiment has one only.")
@click.option("--variant", default="", help="The variant whose rows were labelled; the baseline by default.")
@click.option("--yes", metavar="WORD", help="The label that means yes, such as spam; every other means no.")
@click.option("--id-column", default="id", show_default=True, help="The column that names the row.")
@click.option("--label-column", default="label", show_default=True, help="The column of the label.")
@click.option(
    "--split", type=click.FloatRange(0.0, 1.0, max_open=True), default=0.0, show_default=True,
    help="Share of the labels that is kept for tuning the judge.",
)  # fmt: skip
@click.option("--dev", is_flag=True, help="Use the labels kept for tuning: show disagreements, record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def calibrate(
    services: Services, source: str, labels: Path, name: str, variant: str, yes: str | None, id_column: str,
    label_column: str, split: float, dev: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compare a judge's verdicts with labels.

    Of an EXPERIMENT that was run, the recorded verdicts are taken. Of an experiment FILE, the judge is asked about each
    labelled row now; the labels' file then holds what the judge is shown, in columns.

    The result is kept, and holds for this version of the judge: with another prompt or model it is uncalibrated again.
    """
    if dev and not split:
        raise click.UsageError("--dev needs --split: without it no labels are kept for tuning")
    ask = Ask(
        source=str(named(services.root, Path(source))) if Path(source).suffix in {".yaml", ".yml"} else source,
        labels=named(services.root, labels),
        judge=name,
        variant=variant,
        columns=LabelColumns(id=id_column, label=label_column, yes=yes),
        part=Part(split=split, side="dev" if dev else "test"),
    )
    with progress() as bar:
        task = bar.add_task("judging", total=None)
        found = asyncio.run(
            services.get(JudgeService).calibrate(ask, on_row=lambda done: bar.update(task, completed=done))
        )
    if as_json:
        emit_json(found)
    else:
        _print(found)


def _print(found: Calibrated) -> None:
    told = found.calibration
    out = console()
    out.print(f"{told.judge}: {words(told)}", markup=False, style="bold", soft_wrap=True)
    out.print(table(None, ["", ""], _figures(told)))
    out.print(_confusion(told))
    for note in told.notes:
        out.print(f"• {note}", markup=False, style="yellow", soft_wrap=True)
    for item in found.disagreements[:MOST_SHOWN]:
        pair = f"people say {_word(item.label, told.kind)}, the judge {_word(item.verdict, told.kind)}"
        out.print(ascii(item.id)[1:-1] + f": {pair}: {' '.join(item.reason.split())}", markup=False, soft_wrap=True)
    if len(found.disagreements) > MOST_SHOWN:
        out.print(f"and {len(found.disagreements) - MOST_SHOWN} more: --json shows all", style="dim")
    if found.ref is not None:
        out.print(f"Kept for this version of the judge, {told.version[:12]}.", style="dim")
    else:
        out.print("Not kept: these labels are for tuning the judge.", style="dim")


def _figures(found: Calibration) -> list[tuple[str, str]]:
    shares = {
        "agreement": found.agreement,
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
        "winner went with the place": found.flips,
        "asked again, same answer": found.retest,
    }
    rows = [(name, share_in_words(item)) for name, item in shares.items() if item is not None]
    if found.alpha is not None:
        rows.append((f"alpha of up to {found.raters} people", f"{found.alpha:.2f}"))
    rows += [(f"labelled, {state}", str(count)) for state, count in found.without_verdict.items()]
    rows += [("people are divided", str(found.divided))] if found.divided else []
    rows += [("judged, no label", str(found.without_label))] if found.without_label else []
    rows += [("labelled, not judged", str(found.unknown))] if found.unknown else []
    return rows


def _confusion(found: Calibration) -> object:
    names = [_word(value, found.kind) for value in found.values]
    shown = table(None, ["label \\ verdict", *(f">{name}" for name in names)])
    for name, counts in zip(names, found.matrix, strict=True):
        shown.add_row(name, *map(str, counts))
    return shown


def _word(value: Value, kind: Kind) -> str:
    if kind == "binary":
        return "yes" if value else "no"
    return _PAIRWISE[float(value)] if kind == "pairwise" else f"{value:g}"
