"""Start a project from a template: a flow, a connection, data, an experiment, an evaluator."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.core.storage.templates import template_files, write_new
from pilothouse.core.terminal import console

TEMPLATES = Path(__file__).parent / "templates"
DEFAULT = "sms_spam"


def template_names() -> list[str]:
    """Return the names of the templates that come with the package."""
    return sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir() and not path.name.startswith("_"))


def write_template(name: str, folder: Path) -> list[Path]:
    """Copy a template into ``folder``.

    Returns:
        The files that were written, in order.

    Raises:
        NotFound: when there is no such template.
        Conflict: when a file of the template exists already; nothing is written then.
        StorageError: when the folder cannot be written.
    """
    if name not in template_names():
        raise NotFound(f"there is no template '{name}'", expected=nearest_hint(name, template_names()))
    return write_new(template_files(TEMPLATES / name), folder)


def first_commands(template: Path) -> list[str]:
    """Return the commands that the README of a template tells people to type."""
    lines = (template / "README.md").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    pilothouse ")]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--template", default=DEFAULT, show_default=True, help="Which template to copy.")
def init(folder: Path, template: str) -> None:
    """Copy a template into FOLDER (the current one by default)."""
    written = write_template(template, folder)
    out = console()
    out.print(f"Wrote {len(written)} files into {folder.resolve()}", markup=False, soft_wrap=True)
    for path in written:
        out.print(f"  {path.relative_to(folder)}", markup=False)
    out.print("\nType next:", style="bold")
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    for command in first_commands(TEMPLATES / template):
        out.print(f"  {go}{command}", markup=False, soft_wrap=True)
        go = ""
