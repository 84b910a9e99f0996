"""Options that several verbs of `run` take."""

from __future__ import annotations

import click

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
