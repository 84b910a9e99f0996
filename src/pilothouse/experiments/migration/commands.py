"""From prompt flow: report what runs, bring over connections and experiments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import VerbGroup, console, emit_json, table
from pilothouse.experiments.migration.check import check_folder
from pilothouse.experiments.migration.connections import Written, read_drafts, write_drafts
from pilothouse.experiments.migration.conversion import convert_template, write_files
from pilothouse.experiments.migration.dotenv import keep_secrets
from pilothouse.experiments.migration.history.books import database, home_folder
from pilothouse.experiments.migration.template import read_template_file
from pilothouse.experiments.migration.types import WORDS, FileReport, Finding, Report, count
from pilothouse.experiments.types import Design

_COLUMNS = ("project", ">runs", ">note", ">change", ">not read")

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


@click.group(cls=VerbGroup, more="migrate")
def migrate() -> None:
    """From prompt flow: report what runs, bring over connections and experiments."""


@migrate.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="List every file, those that run as they are too.")
@json_option
def check(path: Path, every: bool, as_json: bool) -> None:
    """Report on every file below PATH; none of its code is run.

    Ends with 0 when nothing must be changed, with 1 when something must, with 2 for wrong usage.
    """
    report = check_folder(path)
    if as_json:
        emit_json({"root": report.root, "counts": report.counts, "files": report.files})
    else:
        _print_report(report, every=every)
    if report.counts["change"]:
        raise click.exceptions.Exit(1)


@migrate.command()
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="pf.sqlite, a folder of YAML, or an experiment.yaml."
)
@click.option("--to", "target", type=click.Path(path_type=Path), help="The folder of files; connections/ by default.")
@click.option("--ask/--no-ask", default=None, help="Ask for secrets and keep them in .env; by default on a terminal.")
@json_option
@click.pass_obj
def connections(services: Services, source: Path | None, target: Path | None, ask: bool | None, as_json: bool) -> None:
    """Write prompt flow's connections as files, with references in place of secrets.

    Prompt flow's own secrets are not read. On a terminal each one that is not set is asked for, without showing it,
    and kept in .env; elsewhere the variables to set are printed. Ends with 1 when a connection could not be written.
    """
    drafts = read_drafts(source or database(home_folder(services.settings.environment)))
    done = write_drafts(drafts, target or services.root / "connections")
    asks = sys.stdin.isatty() and not as_json if ask is None else ask
    kept = _ask(services, done) if asks else ()
    if as_json:
        emit_json(done)
    else:
        _print_connections(done, kept)
    if any(item.reason and not item.exists for item in done):
        raise click.exceptions.Exit(1)


@migrate.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--env", "environment", metavar="NAME", help="Lay experiment.NAME.yaml over it.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="The file to write; beside PATH by default.")
@click.option(
    "--design",
    type=click.Choice(get_args(Design)),
    default="one-factor",
    show_default=True,
    help="How variants are combined: as the template does, or every combination.",
)
@json_option
def experiment(path: Path, environment: str | None, target: Path | None, design: Design, as_json: bool) -> None:
    """Turn the GenAIOps template's experiment PATH into experiment files, one for each data set."""
    template = read_template_file(path, environment)
    suffix = f".{environment}" if environment else ""
    conversion = convert_template(template, target or path.with_name(f"pilothouse{suffix}.yaml"), design=design)
    source = f"{path.name} with {template.overlay.name}" if template.overlay else path.name
    write_files(conversion, source)
    if as_json:
        files, data = ([str(file.path) for file in group] for group in (conversion.files, conversion.data))
        emit_json({"files": files, "data": data, "listed": conversion.listed})
        return
    screen = console()
    for file in (*conversion.files, *conversion.data):
        screen.print(Text(f"wrote {file.path}"), soft_wrap=True)
    if conversion.listed:
        screen.print("\nNot carried over, or to be done by hand:")
        screen.print(table(None, ("", ""), (("-", text) for text in conversion.listed)))
    screen.print(Text(f"then: pilothouse experiment plan {conversion.files[0].path}"), soft_wrap=True)


def _print_report(report: Report, *, every: bool) -> None:
    screen = console()
    rows = [_project_row(name, files) for name, files in report.projects.items()]
    screen.print(table(None, _COLUMNS, rows))
    if every:
        files = ((file.path, file.kind, WORDS[file.verdict]) for file in report.files)
        screen.print(table("Every file", ("file", "kind", "verdict"), files))
    for title, verdict in (("Needs a change", "change"), ("Notes", "note")):
        lines = list(_lines(report, verdict))
        if lines:
            screen.print(Text(title, style="bold"))
            screen.print(table(None, ("", ""), lines))
    unread = [file for file in report.files if file.verdict == "unread"]
    if unread:
        screen.print(Text("Not read", style="bold"))
        screen.print(table(None, ("", ""), _grouped(unread)))
    counts = report.counts
    screen.print(Text(", ".join(f"{counts[verdict]} {WORDS[verdict]}" for verdict in counts), style="bold"))


def _project_row(name: str, files: tuple[FileReport, ...]) -> tuple[str, int, int, int, int]:
    counts = count(files)
    return name, counts["runs"], counts["note"], counts["change"], counts["unread"]


def _lines(report: Report, verdict: str) -> Iterator[tuple[str, Text]]:
    for file in report.files:
        shown = [finding for finding in file.findings if _stands_under(finding, verdict, file)]
        if shown:
            yield "", Text(file.path, style="bold")
        for finding in shown:
            text = Text(finding.message)
            if finding.fix:
                text.append(f"\n{'to mend' if verdict == 'change' else 'hint'}: {finding.fix}")
            yield "" if finding.line is None else f"{finding.line}:", text


def _stands_under(finding: Finding, verdict: str, file: FileReport) -> bool:
    """Tell whether a finding is listed under a heading; a part that was not read counts as a note."""
    if file.verdict == "unread":
        return False
    return finding.verdict == verdict or (verdict == "note" and finding.verdict == "unread")


def _grouped(files: list[FileReport]) -> Iterator[tuple[str, str]]:
    """Yield why files were not read, and which ones."""
    reasons: dict[str, list[str]] = {}
    for file in files:
        reasons.setdefault(file.findings[0].message if file.findings else file.kind, []).append(file.path)
    for reason, paths in reasons.items():
        shown = ", ".join(paths[:8]) + (f" and {len(paths) - 8} more (--json lists them)" if len(paths) > 8 else "")
        yield str(len(paths)), f"{reason}: {shown}"


def _ask(services: Services, done: list[Written]) -> tuple[str, ...]:
    """Ask for the secrets that are not set, and keep them; an empty answer leaves one out."""
    names = sorted({name for item in done for name in item.variables} - set(services.settings.environment))
    if names:
        click.echo("Secrets are not shown while you type; an empty answer leaves one out.", err=True)
    given = {name: click.prompt(name, default="", hide_input=True, show_default=False, err=True) for name in names}
    values = {name: value.strip() for name, value in given.items() if value.strip()}
    for text in keep_secrets(services.root, values) if values else ():
        click.echo(text, err=True)
    return tuple(values)


def _print_connections(done: list[Written], kept: tuple[str, ...]) -> None:
    screen = console()
    rows = [
        (item.name, item.type, item.path or ("left alone: " if item.exists else "not written: ") + item.reason)
        for item in done
    ]
    screen.print(table(None, ("connection", "type", "file"), rows))
    for item in done:
        if item.left_out:
            screen.print(Text(f"{item.name}: left out {', '.join(item.left_out)}, which only prompt flow used"))
    if kept:
        screen.print(Text(f"kept in .env: {', '.join(kept)}"))
    variables = sorted({name for item in done for name in item.variables} - set(kept))
    if variables:
        screen.print("Set these in the environment or in .env (no secret was read or written):")
        for name in variables:
            screen.print(Text(f"  {name}"))
