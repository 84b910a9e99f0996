"""`flow init`: a new flow that runs at once, or a flow around a function that exists."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.text import Text

from pilothouse.core.errors import Conflict, UserError
from pilothouse.core.services import Services
from pilothouse.core.storage.templates import template_files, write_new
from pilothouse.core.terminal import console
from pilothouse.flows.commands.inputs import pair
from pilothouse.flows.loader import DAG_FILES, FLEX_FILES
from pilothouse.flows.starting import wrapping
from pilothouse.flows.starting.model import choose_model
from pilothouse.models.service import ModelService

_TEMPLATES = Path(wrapping.__file__).parent / "templates"


class _Wish(Struct, frozen=True, kw_only=True):
    """What is asked for: a template by kind and type, with a connection and model."""

    folder: Path
    kind: str
    type: str
    connection: str | None
    model: str | None


@click.command(short_help="Write a new flow that runs at once.")
@click.argument("name", required=False)
@click.option("--flow", "folder", metavar="NAME", help="The folder of the flow; the same as the argument.")
@click.option(
    "--type",
    "purpose",
    type=click.Choice(["standard", "chat", "evaluation"]),
    default="standard",
    show_default=True,
    help="What the flow is for.",
)
@click.option(
    "--kind",
    type=click.Choice(["dag", "flex", "prompty"]),
    help="A graph of nodes (the default), a Python function or class, or a prompt with its model.",
)
@click.option("--connection", help="The connection to ask; by default one of the project that can answer now.")
@click.option("--model", "--deployment", help="The model or deployment behind the connection.")
@click.option("--entry", metavar="FILE.py", type=click.Path(path_type=Path), help="Make the flow around this file.")
@click.option("--function", "--function-name", metavar="NAME", help="The function or class in it.")
@click.option(
    "--prompt-template",
    "--prompt",
    "prompts",
    multiple=True,
    metavar="PARAMETER=FILE",
    help="Render this template for a parameter of the function, in a node of its own.",
)
@click.pass_obj
def init(
    services: Services,
    name: str | None,
    folder: str | None,
    purpose: str,
    kind: str | None,
    connection: str | None,
    model: str | None,
    entry: Path | None,
    function: str | None,
    prompts: Sequence[str],
) -> None:
    """Write a new flow into the folder NAME. It runs at once, with no key; nothing is overwritten.

    With --entry and --function, a function that exists becomes a flow: its parameters are the inputs.
    """
    target = folder or name
    if target is None or (name and folder and name != folder):
        raise UserError("which folder shall the flow have?", expected="pilothouse flow init NAME")
    place = Path(target)
    _refuse_flow(place)
    if entry is None and (function or prompts):
        raise UserError("a function stands in a file", where="--function", fix="add --entry FILE.py")
    if entry is not None:
        if function is None:
            raise UserError("which function of the file?", where="--entry", fix="add --function NAME")
        chosen = kind or ("dag" if prompts else "flex")
        _around_function(services, place, entry, function, chosen, dict(_template(text) for text in prompts))
    else:
        wish = _Wish(folder=place, kind=kind or "dag", type=purpose, connection=connection, model=model)
        _from_template(services, wish)


def _refuse_flow(folder: Path) -> None:
    standing = [file for file in (*DAG_FILES, *FLEX_FILES) if (folder / file).exists()]
    if standing:
        raise Conflict("this folder holds a flow already", where=str(folder / standing[0]), fix="name another folder")


def _template(text: str) -> tuple[str, Path]:
    parameter, path = pair(text)
    return parameter, Path(path)


def _from_template(services: Services, wish: _Wish) -> None:
    source = _TEMPLATES / f"{wish.kind}_{wish.type}"
    if not source.is_dir():
        raise UserError(
            f"a {wish.kind} has no aggregation, so there is no {wish.type} flow of this kind",
            expected="--kind dag or --kind flex",
        )
    words = {"name": wish.folder.resolve().name}
    note = ""
    if any(b"@connection@" in path.read_bytes() for path in source.iterdir()):
        choice = choose_model(services.get(ModelService), wish.connection, wish.model)
        words |= {"connection": choice.connection, "model": choice.model}
        note = choice.note
    written = write_new(template_files(source, words), wish.folder)
    path = wish.folder / "flow.prompty" if wish.kind == "prompty" else wish.folder
    _tell(written, note)
    data = wish.folder / "data.jsonl"
    # Said in full: an input with a default is not taken from a column of its name, as in prompt flow.
    mapping = "".join(f" --column-mapping '{column}=${{data.{column}}}'" for column in _columns(data))
    _next(
        f"pilothouse flow test {shlex.quote(str(path))}",
        f"pilothouse run create --flow {shlex.quote(str(path))} --data {shlex.quote(str(data))}{mapping}",
        f"pilothouse flow validate {shlex.quote(str(path))}",
    )


def _columns(data: Path) -> list[str]:
    first = data.read_text(encoding="utf-8").partition("\n")[0]
    return list(msgspec.json.decode(first, type=dict[str, object]))


def _around_function(
    services: Services, folder: Path, entry: Path, function: str, kind: str, prompts: dict[str, Path]
) -> None:
    if kind == "prompty":
        raise UserError("a prompty holds no function", where="--kind", expected="flex or dag")
    if kind == "flex" and prompts:
        raise UserError("a flex flow has no prompt nodes", where="--prompt-template", fix="--kind dag")
    names = {spec.type: spec.name for spec in reversed(services.get(ModelService).connections()) if spec.where}
    existing = wrapping.Existing(folder=folder, entry=entry, function=function, prompts=prompts, connections=names)
    files, needed = wrapping.wrapped_flex(existing) if kind == "flex" else wrapping.wrapped_dag(existing)
    written = write_new(files, folder)
    _tell(written, "")
    # A flex flow has a sample of its inputs.
    given = "" if kind == "flex" else "".join(f" {name}=..." for name in needed)
    place = shlex.quote(str(folder))
    _next(f"pilothouse flow test {place}{given}", f"pilothouse flow validate {place}")


def _tell(written: Sequence[Path], note: str) -> None:
    out = console()
    for path in written:
        out.print(Text(f"wrote {path}"), soft_wrap=True)
    if note:
        out.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)


def _next(*commands: str) -> None:
    out = console()
    out.print("\nType next:", style="bold")
    for command in commands:
        out.print(Text(f"  {command}"), soft_wrap=True)
