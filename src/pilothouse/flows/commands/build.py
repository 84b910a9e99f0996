"""`flow build`: a flow as a folder that runs with one command, or as the context of a container."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.text import Text

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.core.version import VERSION
from pilothouse.flows.building.build import PORT, Wishes, make_build
from pilothouse.flows.building.sources import check_copy
from pilothouse.flows.building.types import FLOW
from pilothouse.flows.building.writing import write_build
from pilothouse.flows.commands.options import json_option, variant_option
from pilothouse.flows.commands.printing import print_notes
from pilothouse.flows.dag.variants import chosen, parse_variant
from pilothouse.flows.library import locate
from pilothouse.flows.loader import load_flow

_EXECUTABLE = "executable"


@click.command(short_help="Pack a flow to run elsewhere, or as a container.")
@click.argument("path")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["folder", "docker", _EXECUTABLE]),
    default="folder",
    show_default=True,
    help="A folder that runs with one command, or the context of a container as well.",
)
@variant_option
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Where it is served.")
@click.option("--base", default="", metavar="IMAGE", help="The image to start from, in place of Python's slim one.")
@click.option(
    "--lock",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A requirements file of your own, such as one with hashes, in place of the versions installed here.",
)
@click.option("--force", is_flag=True, help="Replace an earlier build of this flow even where its files were changed.")
@json_option
@click.pass_obj
def build(
    services: Services,
    path: str,
    output: Path,
    kind: str,
    variants: Sequence[str],
    port: int,
    base: str,
    lock: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the flow at PATH with all that it needs to run elsewhere, and nothing secret.

    The same flow gives the same bytes. Connections are written as references to environment variables; every
    package is locked to the version that is installed here.
    """
    if kind == _EXECUTABLE:
        raise UserError(
            "there is no build as an executable: it would freeze Python and every package into one file",
            where="--format",
            expected="folder or docker",
            fix="--format folder gives a folder that `sh start.sh` serves, --format docker an image",
        )
    flow = chosen(load_flow(locate(services.root, path)), dict(map(parse_variant, variants)))
    wishes = Wishes(format="docker" if kind == "docker" else "folder", port=port, base=base, lock=lock)
    made = make_build(flow, services, wishes, output=output)
    facts = {
        "digest": flow.digest,
        "variants": flow.variants,
        "pilothouse": VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    written = write_build(made, output, facts, force=force)
    check_copy(output / FLOW, flow)
    if as_json:
        emit_json({"output": str(output), "format": made.format, "files": written, "variables": made.variables,
                   "notes": made.notes, **facts})  # fmt: skip
        return
    out = console()
    out.print(Text(f"wrote {len(written)} files to {output}"), soft_wrap=True)
    print_notes(made.notes)
    for variable in made.variables:
        out.print(Text(f"needs {variable.name} ({variable.why})"), soft_wrap=True)
    out.print("\nType next:", style="bold")
    out.print(Text(f"  cd {output}"), soft_wrap=True)
    if made.variables:
        out.print("  cp .env.example .env   # and fill it in")
    out.print("  docker compose up --build" if kind == "docker" else "  sh start.sh")
