"""Test a flow for bias, leaks, injection, refusals, robustness and made-up facts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from pilothouse.core.errors import Interrupted, NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.evaluation.suites.measured import RATES
from pilothouse.evaluation.suites.table import SUITES, suite_named
from pilothouse.evaluation.suites.types import Figure, Suite, SuiteReport
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.commands import options
from pilothouse.experiments.design.file import evaluator_name
from pilothouse.experiments.gates.junit import junit
from pilothouse.experiments.gates.markdown import markdown, verdict
from pilothouse.experiments.gates.types import RuleResult, rows_text
from pilothouse.experiments.runs.commands.watching import watch
from pilothouse.experiments.runs.runfile import named, parse_pairs, within
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.suites.records import MARGIN, SuiteRecords
from pilothouse.experiments.suites.rules import interval_text
from pilothouse.experiments.suites.service import SuiteRequest, SuiteService
from pilothouse.models.service import ModelService

T = TypeVar("T")

CODES = {"pass": 0, "fail": 1, "inconclusive": 4}
"""Exit codes; 2 and 3 are those of mistakes and of faults."""

_SHOWN = 3
_WIDTH = 300
_STYLES = {"pass": "green", "fail": "red bold", "inconclusive": "yellow"}
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_margin = click.option(
    "--margin", type=click.FloatRange(0), default=MARGIN, show_default=True, help="The loss that does not matter."
)
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
@click.argument("name", metavar="NAME|RUN")
@click.option("--rows", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Prompts that are shown.")
@_seed
@_json
@click.pass_obj
def show(services: Services, name: str, rows: int, seed: int, as_json: bool) -> None:
    """Show the suite NAME, or what a suite found in a RUN.

    Of a suite its measures, some prompts, and how often its detectors are wrong.
    """
    if name not in SUITES and _is_run(services, name):
        _show_run(services, name, as_json)
        return
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
    records = services.get(SuiteRecords)
    page = records.page(records.keep(ended, request, report))
    if as_json:
        emit_json({**msgspec.structs.asdict(report), "run": ended.name})
    else:
        _print(report, ended.name)
        console().print(f"report: {options.shown(page)}", markup=False, soft_wrap=True)
        console().print(f"next: pilothouse run show {ended.name}", markup=False, soft_wrap=True)
    return CODES[report.outcome]


@suite.command()
@_json
@click.pass_obj
def runs(services: Services, as_json: bool) -> None:
    """List what suites found, the latest first."""
    found = services.get(SuiteRecords).list()
    if as_json:
        emit_json([record for record, _ in found])
        return
    if not found:
        console().print("no suite was run yet: pilothouse suite run NAME --flow FLOW ...", markup=False)
        return
    rows = [
        [record.run, record.suite, run.spec.flow, record.report.outcome, *_worst(record.report)]
        for record, run in found
    ]
    console().print(table(None, ["run", "suite", "flow", "outcome", "worst figure", ""], rows))


@suite.command()
@click.argument("before", metavar="BASELINE")
@click.argument("now", metavar="RUN")
@_margin
@_json
@click.pass_obj
def compare(services: Services, before: str, now: str, margin: float, as_json: bool) -> int:
    """Compare two runs of one suite: RUN against BASELINE, prompt by prompt.

    Ends with 0 when no measure can be worse by more than the margin, 1 when one is, 4 when the rows cannot tell.
    """
    rules = asyncio.run(_closing(services, services.get(SuiteRecords).compare(before, now, margin)))
    if as_json:
        emit_json(rules)
    else:
        cells = [[_styled(rule.outcome), _measure(rule), rule.figure, rule.reason] for rule in rules]
        console().print(table(f"{now} against {before}, margin {margin:g}", ["", "measure", "more", "why"], cells))
        for rule in rules:
            if rule.rows:
                console().print(f"{rule.name}: {rows_text(rule, _SHOWN)}", markup=False)
    outcomes = {rule.outcome for rule in rules}
    return CODES["fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"]


@suite.command()
@click.argument("ref", metavar="RUN")
@click.option("--baseline", help="A run of the same suite, than which no measure may be worse by more than the margin.")
@_margin
@click.option("--junit", "xml", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML there.")
@click.option("--markdown", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a comment there.")
@_json
@click.pass_obj
def gate(
    services: Services,
    ref: str,
    baseline: str | None,
    margin: float,
    xml: Path | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """Judge a RUN of a suite by its limits, and by its baseline; nothing is run.

    Ends with 0 = pass, 1 = fail, 4 = inconclusive; 2 = a mistake in the command.
    """
    decision = asyncio.run(_closing(services, services.get(SuiteRecords).decide(ref, baseline, margin)))
    if xml is not None:
        write_atomic(xml, junit(decision))
    if page is not None:
        write_atomic(page, markdown(decision).encode("utf-8", "backslashreplace"))
    if as_json:
        emit_json(decision)
    else:
        cells = [[_styled(rule.outcome), rule.name, rule.figure, rule.reason] for rule in decision.rules]
        console().print(table(None, ["", "rule", "figure", "why"], cells))
        console().print(verdict(decision), markup=False)
    return CODES[decision.outcome]


async def _closing(services: Services, work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        await services.get(ModelService).aclose()


def _is_run(services: Services, ref: str) -> bool:
    try:
        services.get(RunService).get(ref)
    except NotFound:
        return False
    return True


def _show_run(services: Services, ref: str, as_json: bool) -> None:
    records = services.get(SuiteRecords)
    record = records.get(ref)
    if as_json:
        emit_json(record)
        return
    _print(record.report, record.run)
    console().print(f"report: {options.shown(records.page(record))}", markup=False, soft_wrap=True)


def _measure(rule: RuleResult) -> str:
    return rule.metric.name if rule.metric is not None else rule.name


def _worst(report: SuiteReport) -> tuple[str, str]:
    """Return the figure that decides: the first of the worst outcome."""
    for outcome in ("fail", "inconclusive", "pass"):
        for figure in report.figures:
            if figure.outcome == outcome:
                return figure.name, interval_text(figure)
    return "", ""


async def _report(services: Services, found: Suite, request: SuiteRequest, ended: Run) -> SuiteReport:
    return await _closing(services, services.get(SuiteService).report(found, request, ended))


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


def _print(report: SuiteReport, run_name: str) -> None:
    out = console()
    title = f"Suite {report.suite}: {report.outcome}, {numbers.rows(report.rows)}"
    rows = [[*_cells(figure), _styled(figure.outcome or "")] for figure in report.figures]
    out.print(table(title, ["measure", ">cases", ">n", ">value", ">95 %", ">limit", "outcome"], rows))
    for figure in report.figures:
        if figure.note is not None:
            out.print(f"{figure.name}: {figure.note}", markup=False)
    if report.unanswered:
        out.print(f"{numbers.rows(report.unanswered)} without an answer: pilothouse run show {run_name} --failed")
    for case in report.cases[:_SHOWN]:
        out.print(f"\n{case.id}: {', '.join(case.found)}", markup=False)
        out.print(f"  asked: {_clip(case.question)}", markup=False)
        out.print(f"  said:  {_clip(case.answer)}", markup=False)
    out.print()


def _cells(figure: Figure) -> list[Any]:
    found = figure.estimate
    value = "none" if found.value is None else f"{found.value:.3f}"
    interval = "" if found.interval is None else f"{found.interval.low:.3f} to {found.interval.high:.3f}"
    limit = "" if figure.limit is None else f"{figure.limit:g}"
    return [figure.name, figure.failures if figure.limit is not None else "", found.n, value, interval, limit]


def _styled(outcome: str) -> Any:
    """Return an outcome in its colour."""
    from rich.text import Text

    return Text(outcome, style=_STYLES.get(outcome, ""))


def _clip(text: str) -> str:
    """Return a text on one line; of a long one both ends, for the question stands behind the document."""
    line, half = " ".join(text.split()), _WIDTH // 2
    return line if len(line) <= _WIDTH else f"{line[:half]} … {line[-half:]}"
