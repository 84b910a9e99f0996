"""What several verbs of `pilothouse experiment` take, and how they read it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pilothouse.core.errors import UserError
from pilothouse.core.settings import FILE
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.runs.runfile import named, parse_pairs

_SOURCES = ("data.", "run.inputs.", "run.outputs.", "row.")

data = click.option("--data", help="Your own CSV, TSV, JSONL or Parquet file or folder, or dataset:NAME.")
pairs = click.option(
    "--map", "pairs", multiple=True, metavar="NAME=SOURCE",
    help="INPUT=data.COLUMN for the flow, EVALUATOR.ARGUMENT=data.COLUMN for an evaluator.",
)  # fmt: skip
rows = click.option("--rows", type=click.IntRange(1), help="Only the first rows.")
compute = click.option(
    "--compute", metavar="PLACE", help="Where rows are computed: local, ray, auto, ray://HOST:10001 or HOST:6379."
)
workers = click.option("--workers", type=click.IntRange(1), help="Worker processes.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def overrides(data: str | None, pairs: Sequence[str], rows: int | None, **where: Any) -> Overrides:
    """Return what the options say on top of an experiment file; ``where`` rows are computed is no part of it."""
    return Overrides(data=data, column_mapping=mapping(pairs), limit=rows, folder=Path.cwd(), **where)


def mapping(pairs: Sequence[str]) -> dict[str, Any]:
    """Return ``NAME=SOURCE`` pairs as a mapping; ``data.x`` may be written for ``${data.x}``, which shells eat."""
    found = parse_pairs(list(pairs), "--map")
    return {name: f"${{{value}}}" if value.startswith(_SOURCES) else value for name, value in found.items()}


def found(root: Path, file: Path) -> Path:
    """Return the file that is meant; in another project there are other connections, data and settings."""
    path = named(root, file)
    home = next((folder for folder in path.resolve().parents if (folder / FILE).is_file()), None)
    if home is not None and home != root.resolve():
        raise UserError(
            f"this file belongs to the project in {home}, not to {root}",
            where=shown(path),
            fix=f"pilothouse -C {shlex.quote(str(home))} experiment ...",
        )
    return path


def shown(path: Path) -> str:
    """Return a path as a person here would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
