"""Datasets: rows out of files, their versions and differences."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, download_progress, emit_json, progress, table
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.samples.service import ROWS, SampleService
from pilothouse.datasets.samples.types import counted
from pilothouse.datasets.service import DatasetService
from pilothouse.datasets.types import DatasetDiff, DatasetVersion, Row

_SHOWN = 60
"""Characters of one value in a table."""

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
id_option = click.option("--id-column", help="The column that names the rows; their place does, when absent.")


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of how files are read, as its argument ``options``."""

    @click.option("--encoding", default="utf-8", show_default=True, help="Of text files.")
    @click.option("--delimiter", help="Between the cells of CSV; a comma by default.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, encoding: str, delimiter: str | None, **rest: Any) -> None:
        command(*arguments, options=ReadOptions(encoding=encoding, delimiter=delimiter), **rest)

    return wrapped


@click.group()
def dataset() -> None:
    """Datasets: rows out of files, their versions and differences.

    A version is written NAME (the latest), NAME:3 or NAME@ALIAS; runs and experiments write dataset:NAME:3.
    """


@dataset.command()
@click.argument("name")
@click.argument("path")
@id_option
@click.option("--licence", "--license", help="Under which terms the rows may be used.")
@click.option("--source", help="Where the rows came from; the path by default.")
@reading_options
@json_option
@click.pass_obj
def add(
    services: Services,
    name: str,
    path: str,
    id_column: str | None,
    licence: str | None,
    source: str | None,
    options: ReadOptions,
    as_json: bool,
) -> None:
    """Keep the rows of PATH (CSV, TSV, JSONL, JSON, Parquet or a folder of them) as a version of NAME.

    The same rows again, in whatever format, make no new version.
    """
    service = services.get(DatasetService)
    with progress() as shown:
        task = shown.add_task("reading", total=None)
        version, is_new = service.add(
            name,
            _typed(path),
            id_column=id_column,
            licence=licence,
            source=source,
            options=options,
            progress=lambda rows: shown.update(task, completed=rows),
        )
    skipped = service.open(_typed(path), options=options).skipped
    if as_json:
        emit_json({**_as_data(version), "is_new": is_new, "skipped": [str(file) for file in skipped]})
        return
    state = "new version" if is_new else "unchanged, no new version:"
    click.echo(f"{state} {version.ref}, {version.rows:,} rows")
    for what, given, kept in (("licence", licence, version.licence), ("source", source, version.source)):
        if given is not None and given != kept:
            click.echo(f"its {what} stays '{kept}': the facts of a version never change")
    if skipped:
        click.echo(f"{len(skipped)} files were not read, nothing reads their format: {skipped[0].name} ...")


@dataset.command("list")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def list_(services: Services, name: str | None, as_json: bool) -> None:
    """List the latest version of every dataset, or all versions of NAME."""
    service = services.get(DatasetService)
    found = service.versions(name) if name is not None else service.list()
    if as_json:
        emit_json([_as_data(version) for version in found])
    elif found:
        rows = [
            (version.ref, f"{version.rows:,}", len(version.columns), version.licence, version.source, _when(version))
            for version in found
        ]
        console().print(table(None, ("version", ">rows", ">columns", "licence", "source", "added"), rows))
    else:
        click.echo("There is no dataset yet: pilothouse dataset add NAME PATH")


@dataset.command()
@click.argument("ref")
@click.option("--rows", type=click.IntRange(min=0), default=5, show_default=True, help="How many rows to show.")
@reading_options
@json_option
@click.pass_obj
def show(services: Services, ref: str, rows: int, options: ReadOptions, as_json: bool) -> None:
    """Show what a version or a data file holds: columns, types, first rows, and what a version serves."""
    service = services.get(DatasetService)
    with console(stderr=True).status(f"reading {escape(ref)}"):
        source = service.find(_typed(ref), options=options)
        serves = service.serves(source.version) if source.version is not None else None
        first = list(itertools.islice(source, rows))
        profile = source.profile
    if as_json:
        facts = _as_data(source.version) if source.version is not None else {"source": source.origin}
        known: dict[str, Any] = msgspec.to_builtins(profile)
        used = {"serves": msgspec.to_builtins(serves)} if serves is not None else {}
        emit_json({**facts, **known, "digest": source.digest, "sample": msgspec.to_builtins(first), **used})
        return
    click.echo(f"{source.origin}, {profile.rows:,} rows, digest {source.digest}")
    if source.version is not None:
        click.echo(f"source: {source.version.source}")
        click.echo(f"licence: {source.version.licence or 'nobody said'}")
    columns = [(_short(column.name), column.type, column.nulls, column.absent) for column in profile.columns]
    console().print(table("Columns", ("name", "type", ">null", ">absent"), columns))
    if first:
        console().print("", _rows_table(first, [column.name for column in profile.columns]))
    if serves is not None and serves.runs:
        click.echo(f"\nserves {serves.runs:,} runs")
        for what in ("flows", "experiments", "evaluators"):
            if getattr(serves, what):
                click.echo(f"{what}: {', '.join(getattr(serves, what))}")


@dataset.command()
@click.argument("before")
@click.argument("after")
@id_option
@json_option
@click.pass_obj
def diff(services: Services, before: str, after: str, id_column: str | None, as_json: bool) -> None:
    """Show which rows differ between two versions or data files."""
    with console(stderr=True).status("reading both"):
        found = services.get(DatasetService).diff(_typed(before), _typed(after), id_column=id_column)
    if as_json:
        emit_json(found)
    else:
        _print_diff(found)


@dataset.command()
@click.argument("sample", required=False)
@click.option("--rows", type=click.IntRange(min=1), default=ROWS, show_default=True, help="How many rows to take.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where to; the project's data/ by default."
)
@click.option("--force", is_flag=True, help="Replace files that have other content.")
@json_option
@click.pass_obj
def pull(services: Services, sample: str | None, rows: int, folder: Path | None, force: bool, as_json: bool) -> None:
    """Fetch sample data and write a choice of it as CSV; without SAMPLE, list what there is."""
    service = services.get(SampleService)
    if sample is None:
        found = service.list()
        if as_json:
            emit_json([{"name": one.name, "title": one.title, "licence": one.licence} for one in found])
        else:
            cells = [(one.name, one.title, one.licence) for one in found]
            console().print(table(None, ("sample", "what", "licence"), cells))
        return
    with download_progress() as shown:
        task = shown.add_task(f"fetching {sample}", total=None)
        pulled = service.pull(
            sample,
            folder or services.root / "data",
            rows=rows,
            force=force,
            progress=lambda arrived, total: shown.update(task, completed=arrived, total=total),
        )
    if as_json:
        emit_json(msgspec.to_builtins(pulled, enc_hook=str))
        return
    click.echo(f"{'wrote' if pulled.is_new else 'there already:'} {pulled.rows} ({counted(pulled.labels)})")
    click.echo(f"examples to show a model: {pulled.examples}")
    if pulled.documents is not None:
        click.echo(f"texts to search: {pulled.documents}")
    click.echo(f"licence: {pulled.licence} ({pulled.readme})")


def _typed(text: str) -> str:
    """Return a path as it is seen from here, whatever the project's folder is; a reference as it stands."""
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text


def _as_data(version: DatasetVersion) -> dict[str, Any]:
    return {"ref": version.ref, **msgspec.to_builtins(version)}


def _when(version: DatasetVersion) -> str:
    return version.created_at.strftime("%Y-%m-%d %H:%M")


def _rows_table(rows: list[Row], columns: list[str]) -> Table:
    cells = [(_short(row.id), *(_cell(row, name) for name in columns)) for row in rows]
    return table("First rows", ("row", *(escape(_short(name)) for name in columns)), cells)


def _cell(row: Row, name: str) -> str:
    return _short(row.data[name]) if name in row.data else "(absent)"


def _short(value: object) -> str:
    """Return a value as a person reads it: short, and without characters that would command the terminal."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


def _print_diff(found: DatasetDiff) -> None:
    click.echo(f"{found.before} → {found.after}, rows matched by {found.by}")
    counts = [("added", found.added), ("removed", found.removed), ("changed", found.changed)]
    console().print(table(None, ("rows", ">"), [*counts, ("unchanged", found.unchanged)]))
    if found.reordered:
        click.echo("The rows are the same; their order differs.")
    for what, names in (("added", found.columns_added), ("removed", found.columns_removed)):
        if names:
            click.echo(f"columns {what}: {', '.join(map(_short, names))}")
    if found.examples:
        rows = [(one.kind, _short(one.id), _side(one.before), _side(one.after)) for one in found.examples]
        console().print(table("Examples", ("", "row", "before", "after"), rows))


def _side(data: dict[str, Any] | None) -> str:
    return "" if data is None else _short(data)
