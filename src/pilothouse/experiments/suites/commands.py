"""Test a flow for bias, leaks, injection, refusals, robustness and made-up facts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
import msgspec

from pilothouse.core.errors import Interrupted
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.evaluation.suites.measured import RATES
from pilothouse.evaluation.suites.table import SUITES, suite_named
from pilothouse.evaluation.suites.types import Figure, Suite, SuiteReport
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.design.file import evaluator_name
from pilothouse.experiments.runs.commands.watching import watch
from pilothouse.experiments.runs.runfile import named, parse_pairs, within
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.suites.service import SuiteRequest, SuiteService
from pilothouse.models.service import ModelService

CODES = {"pass": 0, "fail": 1, "inconclusive": 4}
"""Exit codes; 2 and 3 are those of mistakes and of faults."""

_SHOWN = 3
_WIDTH = 300
_STYLES = {"pass": "green", "fail": "red bold", "inconclusive": "yellow"}
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_seed = click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Seed of the prompts.")


@click.group()
def suite() -> None:
    """Test a flow for bias, leaks, injection, refusals, robustness and made-up facts."""


@suite.command(name="list")
@_json
def list_(as_json: bool) -> None:
    """List the suites."""
    found = [_facts(item) for item in SUITES.values()]
    if as_json:
        emit_json(found)
        return
    rows = [[item["name"], item["rows"], item["templates"], item["about"]] for item in found]
    console().print(table(None, ["suite", ">rows", ">templates", "about"], rows))


@suite.command()
@click.argument("name")
@click.option("--rows", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Prompts that are shown.")
@_seed
@_json
def show(name: str, rows: int, seed: int, as_json: bool) -> None:
    """Show the suite NAME: its measures, some prompts, and how often its detectors are wrong."""
    found = suite_named(name)
    rates = [rate for rate in RATES if rate.detector in found.detectors]
    prompts = found.prompts(seed)[:rows]
    if as_json:
        emit_json({**_facts(found), "measures": found.measures, "detectors": rates, "prompts": prompts})
        return
    out = console()
    title = f"Suite {found.name}: {found.about}"
    kinds = [[m.name, m.kind, f"{m.limit:g}", "one case fails" if m.strict else ""] for m in found.measures]
    out.print(table(title, ["measure", "kind", ">limit", ""], kinds))
    for prompt in prompts:
        out.print(f"\n{prompt.id}\n{_clip(prompt.text)}", markup=False)
    if rates:
        out.print()
        cells = [
            [r.detector, r.error, r.texts, f"{r.count} of {r.n}", f"{r.interval.low:.1%} to {r.interval.high:.1%}"]
            for r in rates
            if r.interval is not None
        ]
        out.print(table("Detectors, as measured", ["detector", "error", "texts", ">count", ">95 %"], cells))


@suite.command()
@click.argument("name")
@click.option("--flow", "flow", type=click.Path(path_type=Path), required=True, help="The flow's folder or file.")
@click.option("--input", "input_name", required=True, help="The flow's input that takes the prompt.")
@click.option("--output", "output_name", required=True, help="The flow's output that is the answer.")
@click.option("--context", help="The flow's input that takes the document; else it stands before the question.")
@click.option("--set", "pairs", multiple=True, metavar="INPUT=VALUE", help="Another input of the flow.")
@_seed
@click.option("--repeat", type=click.IntRange(1), help="Times every prompt is asked.")
@click.option("--limit", type=click.FloatRange(0, 1), help="In place of the limits of the suite's measures.")
@click.option("--canary", "canaries", multiple=True, help="A text of the flow's prompts that must not come out.")
@click.option("--evaluator", "-e", help="Your own, over the answers: a built-in's name, file.py:Name, or a flow.")
@click.option("--name", "run_name", help="A unique name for the run.")
@_json
@click.pass_obj
def run(services: Services, name: str, flow: Path, pairs: tuple[str, ...], as_json: bool, **given: Any) -> int:
    """Run the suite NAME against a flow.

    Ends with 0 when it passes, 1 when it fails, 4 when the rows cannot tell.
    """
    found, suites = suite_named(name), services.get(SuiteService)
    request = SuiteRequest(
        flow=within(services.root, named(services.root, flow)),
        input=given["input_name"],
        output=given["output_name"],
        context=given["context"],
        inputs=parse_pairs(list(pairs), "--set"),
        seed=given["seed"],
        repeats=given["repeat"],
        limit=given["limit"],
        canaries=given["canaries"],
        evaluator=_evaluator(given["evaluator"]),
        name=given["run_name"],
    )
    spec = suites.spec(found, request)
    ended = watch(
        services,
        lambda stop, tell: suites.execute(spec, on_progress=tell, stop=stop),
        prints_aside=as_json,
    )
    if ended.status in {"interrupted", "cancelled"}:
        raise Interrupted(f"stopped after {ended.counts.done:,} rows", fix=f"pilothouse run resume {ended.name}")
    report = asyncio.run(_report(services, found, request, ended))
    if as_json:
        emit_json({**msgspec.structs.asdict(report), "run": ended.name})
    else:
        _print(report, ended)
    return CODES[report.outcome]


async def _report(services: Services, found: Suite, request: SuiteRequest, ended: Run) -> SuiteReport:
    try:
        return await services.get(SuiteService).report(found, request, ended)
    finally:
        await services.get(ModelService).aclose()


def _evaluator(source: str | None) -> EvaluatorSpec | None:
    if source is None:
        return None
    return EvaluatorSpec(name=evaluator_name(source), source=source, where=f"--evaluator {source}")


def _facts(item: Suite) -> dict[str, Any]:
    prompts = item.prompts(7)
    return {
        "name": item.name,
        "about": item.about,
        "rows": len(prompts) * item.repeats,
        "templates": len({prompt.cluster for prompt in prompts}),
    }


def _print(report: SuiteReport, ended: Run) -> None:
    from rich.text import Text

    out = console()
    title = f"Suite {report.suite}: {report.outcome}, {numbers.rows(report.rows)}"
    rows = [
        [*_cells(figure), Text(figure.outcome or "", style=_STYLES.get(figure.outcome or "", ""))]
        for figure in report.figures
    ]
    out.print(table(title, ["measure", ">cases", ">n", ">value", ">95 %", ">limit", "outcome"], rows))
    for figure in report.figures:
        if figure.note is not None:
            out.print(f"{figure.name}: {figure.note}", markup=False)
    if report.unanswered:
        out.print(f"{numbers.rows(report.unanswered)} without an answer: pilothouse run show {ended.name} --failed")
    for case in report.cases[:_SHOWN]:
        out.print(f"\n{case.id}: {', '.join(case.found)}", markup=False)
        out.print(f"  asked: {_clip(case.question)}", markup=False)
        out.print(f"  said:  {_clip(case.answer)}", markup=False)
    out.print(f"\nnext: pilothouse run show {ended.name}", markup=False, soft_wrap=True)


def _cells(figure: Figure) -> list[Any]:
    found = figure.estimate
    value = "none" if found.value is None else f"{found.value:.3f}"
    interval = "" if found.interval is None else f"{found.interval.low:.3f} to {found.interval.high:.3f}"
    limit = "" if figure.limit is None else f"{figure.limit:g}"
    return [figure.name, figure.failures if figure.limit is not None else "", found.n, value, interval, limit]


def _clip(text: str) -> str:
    """Return a text on one line; of a long one both ends, for the question stands behind the document."""
    line, half = " ".join(text.split()), _WIDTH // 2
    return line if len(line) <= _WIDTH else f"{line[:half]} … {line[-half:]}"
