"""Prompt flow's `pf` commands, answered by ours (docs/pf.md)."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from pilothouse.cli.main import door, pilothouse, rest_collector
from pilothouse.cli.promptflow.grammar import Answer, Command, Meaning
from pilothouse.cli.promptflow.parser import meaning_of
from pilothouse.core.environment import export
from pilothouse.core.errors import UserError

_SECRET = re.compile(r"(?P<key>[\w.]*(key|secret|token|password)[\w.]*)=", re.IGNORECASE)

QUIET, EXPLAIN = ("-q", "--quiet"), "--explain"


def main(arguments: list[str] | None = None) -> None:
    """Run one command of prompt flow and leave with our exit code."""
    if arguments is None:
        rest_collector()
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(door(lambda: answer(given)))


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def pf(context: click.Context, arguments: tuple[str, ...]) -> Any:
    """Answer a command of prompt flow, where the script `pf` is another package's."""
    project = context.find_root().params.get("project")
    return answer(arguments, ["-C", str(project)] if project is not None else [])


def answer(arguments: Sequence[str], before: Sequence[str] = ()) -> Any:
    """Run the command that an old command line means, or say why there is none; return its exit code.

    Ahead of the old words, ``-q`` keeps the hint and the notes back, and ``--explain`` prints our command and runs
    nothing. The hint is for people: it is written where standard error is a terminal.

    Args:
        arguments: What was typed after `pf`.
        before: What our command begins with.

    Raises:
        UserError: for words that prompt flow does not have, and where what was wanted cannot happen.
    """
    words = list(arguments)
    is_quiet = is_explained = False
    while words and words[0] in (*QUIET, EXPLAIN):
        is_explained |= words[0] == EXPLAIN
        is_quiet |= words.pop(0) in QUIET
    meant = meaning_of(words)
    if isinstance(meant, Answer):
        if meant.exit_code and not is_explained:
            raise UserError(meant.text, where=f"pf {' '.join(words[:2])}")
        if meant.text:
            click.echo(meant.text, err=not is_explained)
        return meant.exit_code
    if is_explained:
        click.echo(shown(meant))
        return 0
    if not is_quiet:
        _hint(meant)
    export(meant.environment)
    return pilothouse.main([*before, *meant.arguments], prog_name="pilothouse", standalone_mode=False)


def shown(meant: Meaning) -> str:
    """Return a meaning as one types it, variables in front; their values stay hidden."""
    if isinstance(meant, Answer):
        return meant.text
    variables = [f"{name}=..." for name in meant.environment]
    return " ".join([*variables, "pilothouse", shlex.join(map(_masked, meant.arguments))])


def _masked(argument: str) -> str:
    """Return an argument without a secret that is given in the clear; a reference to one may be seen."""
    found = _SECRET.match(argument)
    return f"{found['key']}=***" if found is not None and "${" not in argument else argument


def _hint(meant: Command) -> None:
    if sys.stderr.isatty():
        click.echo(click.style(f"here: {shown(meant)}", dim=True), err=True)
    for note in meant.notes:
        click.echo(f"note: {note}", err=True)


if __name__ == "__main__":
    main()
