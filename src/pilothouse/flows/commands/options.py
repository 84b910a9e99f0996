"""Options that several verbs of `flow` take."""

from __future__ import annotations

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
variant_option = click.option(
    "--variant", "variants", multiple=True, metavar="'${NODE.ID}'", help="Use a variant; may be given once per node."
)
