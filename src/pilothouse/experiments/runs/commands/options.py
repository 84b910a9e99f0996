"""Options that several verbs of `run` take."""

from __future__ import annotations

from typing import get_args

import click

from pilothouse.experiments.runs.types import Isolation

isolation_option = click.option(
    "--isolation", type=click.Choice(get_args(Isolation)), help="process: rows run in processes that can be killed."
)
compute_option = click.option(
    "--compute", metavar="PLACE", help="Where rows are computed: local, ray, auto, ray://HOST:10001 or HOST:6379."
)
workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Worker processes, on Ray or with --isolation process."
)
record_option = click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON.")
most_option = click.option(
    "--max-results",
    "--limit",
    "-r",
    "limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="So many at most.",
)
all_option = click.option("--all-results", is_flag=True, help="All of them.")
