"""From an old command line to what it means here."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.cli.promptflow.flows import add_flow
from pilothouse.cli.promptflow.grammar import Answer, Command, Meaning, Rewrite, Words
from pilothouse.cli.promptflow.others import add_config, add_connection, add_rest, add_tool
from pilothouse.cli.promptflow.runs import add_run
from pilothouse.core.errors import UserError, nearest_hint

ABOUT = """Prompt flow's commands, answered by Pilothouse.

Each of them is rewritten into a command of `pilothouse`, which is named on the terminal; docs/pf.md has the table.
"""


def meaning_of(arguments: Sequence[str]) -> Meaning:
    """Return what a command line of prompt flow means here.

    Args:
        arguments: What was typed after `pf`.

    Raises:
        UserError: for a verb or flag that prompt flow does not have either, or a value it does not take.
        SystemExit: when only help was asked for, which is printed.
    """
    if list(arguments) in (["--version"], ["-v"], ["version"]):
        return Command("--version")
    parser = Words(prog="pf", description=ABOUT)
    parser.add_argument("--version", "-v", action="store_true", help="The version of Pilothouse.")
    parser.set_defaults(rewrite=None, parser=parser)
    nouns = parser.add_subparsers(metavar="NOUN", parser_class=Words)
    for add in (add_config, add_connection, add_flow, add_run, add_tool, add_rest):
        add(nouns)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = [flag for flag in given.parser.flags() if flag.startswith("--")]
        hint = nearest_hint(unknown[0].partition("=")[0], known) if unknown[0].startswith("-") else None
        raise UserError(f"'{unknown[0]}' is not taken", where=given.parser.prog, expected=hint)
    rewrite: Rewrite | None = given.rewrite
    if rewrite is None:
        given.parser.print_help()
        return Answer("")
    return rewrite(given)
