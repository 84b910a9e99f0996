"""`flow validate`: everything that is wrong with flows, told at once and without running them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.flows.checking.check import check_flow, files_to_check
from pilothouse.flows.checking.types import Finding, FlowReport
from pilothouse.flows.commands.options import json_option
from pilothouse.flows.commands.printing import print_notes


@click.command(short_help="Check flows without running them.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--static", is_flag=True, help="Read files only: import no tool, look for no connection.")
@json_option
@click.pass_obj
def validate(services: Services, paths: Sequence[str], static: bool, as_json: bool) -> None:
    """Check flows without running them; all flows of the project by default, all below a folder without one.

    The files are read and compared with each other; then tools are imported, and connections and models looked for.
    Leaves with 1 when a flow would not run.
    """
    given = paths or [str(services.root)]
    reports = [check_flow(file, None if static else services) for file in files_to_check(services.root, given)]
    if as_json:
        emit_json({"valid": all(report.is_valid for report in reports), "flows": list(map(_data, reports))})
    else:
        _print(reports)
    if not all(report.is_valid for report in reports):
        raise click.exceptions.Exit(1)


def _data(report: FlowReport) -> dict[str, Any]:
    return {
        "file": str(report.file),
        "name": report.name,
        "kind": report.kind or None,
        "nodes": report.nodes,
        "valid": report.is_valid,
        "errors": report.errors,
        "notes": report.notes,
    }


def _print(reports: Sequence[FlowReport]) -> None:
    for report in reports:
        for finding in report.errors:
            _print_finding(finding)
        print_notes(report.notes)
    rows = [
        (report.name, report.kind or "cannot be read", report.nodes, _verdict(report), len(report.notes), _near(report))
        for report in reports
    ]
    console().print(table(None, ("flow", "kind", ">nodes", "verdict", ">notes", "file"), rows))


def _print_finding(finding: Finding) -> None:
    out = console(stderr=True)
    if finding.traceback:
        out.print(Text(finding.traceback.rstrip()), soft_wrap=True)
    place = f"{finding.where}: " if finding.where else ""
    out.print(Text("error: ", style="bold red") + Text(f"{place}{finding.message}"), soft_wrap=True)
    for label, text in (("expected: ", finding.expected), ("to mend:  ", finding.fix)):
        if text:
            out.print(Text(f"  {label}{text}"), soft_wrap=True)


def _verdict(report: FlowReport) -> str:
    count = len(report.errors)
    return "valid" if report.is_valid else f"{count} {'error' if count == 1 else 'errors'}"


def _near(report: FlowReport) -> str:
    here = Path.cwd()
    return str(report.file.relative_to(here) if report.file.is_relative_to(here) else report.file)
