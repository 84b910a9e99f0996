"""Run the main job on a small local model: a flow in three variants, judged and reported."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from pilothouse.cli.project import DEFAULT, write_template
from pilothouse.cli.session import Session
from pilothouse.core import plugins
from pilothouse.core.settings import FILE
from pilothouse.core.terminal import console

MODEL = "smollm2-135m-instruct"
SAMPLE = "sms-spam"
ROWS = 80


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("demo"))
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Your own CSV, TSV, JSONL or Parquet.")
@click.option("--rows", type=click.IntRange(2), default=ROWS, show_default=True, help="Rows of the sample data.")
def demo(folder: Path, data: Path | None, rows: int) -> int:
    """Make a project in FOLDER and run its experiment, with no key and no server.

    Each step is an ordinary command; it is shown before it runs, so that you can type it yourself.
    """
    if (folder / FILE).is_file():
        console(stderr=True).print(f"Going on with the project in {folder}", markup=False, style="dim")
    else:
        written = write_template(DEFAULT, folder)
        console(stderr=True).print(f"Wrote a project of {len(written)} files into {folder}", markup=False, style="dim")
    with Session(folder) as session:
        _step(session, folder, "model", "pull", MODEL)
        if data is None:
            _step(
                session, folder, "dataset", "pull", SAMPLE, "--rows", str(rows), "--to", str(folder / "data"), "--force"
            )
        extra = [] if data is None else ["--data", str(data)]
        code = _step(session, folder, "experiment", "run", str(folder / "experiment.yaml"), *extra)
    _say_next(folder)
    return code


def _step(session: Session, folder: Path, group: str, *arguments: str) -> int:
    """Show and run one command in the project of ``session``; return its exit code."""
    words = shlex.join(["pilothouse", "-C", str(folder), group, *arguments])
    console(stderr=True).print(f"\n$ {words}", markup=False, style="bold", soft_wrap=True)
    command: click.Command = plugins.load("commands", group)
    result = command.main(list(arguments), prog_name=f"pilothouse {group}", standalone_mode=False, obj=session)
    return result if isinstance(result, int) else 0


def _say_next(folder: Path) -> None:
    program = Path(sys.argv[0])
    name = (
        "pilothouse" if program.name == "pilothouse" and not program.parent.parts else os.path.relpath(program, folder)
    )
    out = console()
    out.print("\nIn this project you can type:", style="bold")
    out.print(f"  cd {shlex.quote(str(folder))}", markup=False, soft_wrap=True)
    for words, why in (
        ("run list", "every run, to be opened row by row"),
        ("trace list", "what happened, span by span"),
        ("flow test flows/sms_spam --inputs text='Lunch at noon?'", "one message"),
        ("experiment run experiment.yaml", "again, after you changed a prompt in flows/sms_spam/"),
    ):
        out.print(f"  {shlex.quote(name)} {words}", markup=False, soft_wrap=True)
        out.print(f"      {why}", markup=False, style="dim")
