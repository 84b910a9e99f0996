"""What the old verbs are made of: a parser that takes arguments as prompt flow's does, and what a verb becomes.

It is argparse, as there: lists that take all that follows (``--inputs a=1 b=2``), abbreviated flags, ``--flag=value``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pilothouse.core.environment import names_a_secret, read_dotenv
from pilothouse.core.errors import NotFound, UserError, nearest_hint


class Command:
    """The command of ours that an old one becomes.

    Attributes:
        arguments: What is typed after `pilothouse`.
        notes: What the old flags said that means nothing here.
        environment: Variables that are set for the command.
    """

    def __init__(self, *arguments: str, notes: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        self.arguments = list(arguments)
        self.notes = list(notes)
        self.environment = environment or {}

    def flag(self, name: str, given: object) -> None:
        """Add a flag without a value where it was given."""
        if given:
            self.arguments.append(name)

    def value(self, name: str, given: object) -> None:
        """Add a flag with one value where it was given."""
        if given is not None:
            self.arguments += [name, str(given)]

    def each(self, name: str, given: Sequence[str] | None) -> None:
        """Add a flag for each value of a list."""
        for text in given or ():
            self.arguments += [name, text]

    def ignored(self, flag: str, given: object, why: str) -> None:
        """Note a flag that means nothing here, where it was given."""
        if given:
            self.notes.append(f"{flag} was ignored: {why}")


class Answer:
    """What is said where no command of ours is the counterpart.

    Attributes:
        text: Why, and what to do.
        exit_code: 0 where nothing has to be done, 2 where what was wanted did not happen.
    """

    def __init__(self, text: str, *, exit_code: int = 0) -> None:
        self.text = text
        self.exit_code = exit_code


Meaning = Command | Answer
Given = argparse.Namespace
Rewrite = Callable[[Given], Meaning]


class Words(argparse.ArgumentParser):
    """A parser whose complaints are ours: what is wrong, what was expected."""

    def flags(self) -> list[str]:
        """Return the flags that are told in the help."""
        return [flag for action in self._actions if action.help != argparse.SUPPRESS for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Raises:
            UserError: always.
        """
        raise UserError(message, where=self.prog, fix=f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices and not action.option_strings:
            raise NotFound(
                f"there is no '{self.prog} {value}'", expected=nearest_hint(str(value), list(map(str, action.choices)))
            )
        super()._check_value(action, value)


class Noun:
    """One noun of the old command line, such as `pf run`, with its verbs."""

    def __init__(self, nouns: Any, name: str, about: str) -> None:
        self._name = name
        self._parser: Words = nouns.add_parser(name, description=about, help=about)
        self._verbs = self._parser.add_subparsers(metavar="VERB")
        self._parser.set_defaults(rewrite=None, parser=self._parser)

    def verb(self, name: str, ours: str, rewrite: Rewrite) -> Words:
        """Add a verb.

        Args:
            name: Its name there.
            ours: What it is here, for the help.
            rewrite: Makes our command of what was given.
        """
        made: Words = self._verbs.add_parser(name, description=f"Here: {ours}.", help=ours)
        made.set_defaults(rewrite=rewrite, parser=made)
        # How much is told on the way, and by whom one was called, does not change what a command does.
        made.add_argument("--verbose", action="store_true", help=argparse.SUPPRESS)
        made.add_argument("--debug", "-d", action="store_true", help=argparse.SUPPRESS)
        made.add_argument("--user-agent", help=argparse.SUPPRESS)
        return made


def pairs(parser: Words, *flags: str, least: str = "+", about: str = "KEY=VALUE") -> None:
    """Add a list of pairs that takes all that follows and may be given again."""
    parser.add_argument(*flags, nargs=least, action="extend", type=_unquoted, default=None, help=about)


def variables(given: list[str] | None, *, by_name: bool = False) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the pairs of `--environment-variables`, what is set for the command alone (files, secrets), and notes.

    Args:
        given: Pairs and .env files.
        by_name: Our command takes files by their names.

    Raises:
        UserError: for what is neither a pair nor a .env file.
    """
    found: list[str] = []
    files: dict[str, str] = {}
    notes = ["the project's .env is read in any case"] if given == [] else []
    for text in given or ():
        name, equals, value = text.partition("=")
        if equals and names_a_secret(name) and "${" not in value:
            files[name] = value
            notes.append(f"{name} is set for this command and not recorded; the place for it is the project's .env")
        elif equals or (text.endswith(".env") and Path(text).is_file() and by_name):
            found.append(text)
        elif text.endswith(".env") and Path(text).is_file():
            files |= read_dotenv(Path(text))
            notes.append(f"the variables of {text} are set for this command; the project's .env is read by itself")
        else:
            raise UserError(
                f"'{text}' is no variable", where="--environment-variables", expected="KEY=VALUE or a .env file"
            )
    return found, files, notes


def _unquoted(text: str) -> str:
    """Return a pair without the quotes that some shells leave around it or its value."""
    key, equals, value = _bare(text).partition("=")
    return f"{key}={_bare(value)}" if equals else key


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
