"""What several verbs of `pilothouse review` take."""

from __future__ import annotations

import click

from pilothouse.access.service import VARIABLE

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reviewer = click.option("--as", "name", metavar="NAME", help=f"Who labels; {VARIABLE} or your user name by default.")
