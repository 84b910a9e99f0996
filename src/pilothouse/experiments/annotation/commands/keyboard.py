"""What a reviewer types: keys in a terminal, lines everywhere else."""

from __future__ import annotations

import sys
from typing import Final, Literal

import click
from msgspec import Struct
from rich.console import Console

from pilothouse.core.errors import DataError
from pilothouse.evaluation.annotation.question import Question
from pilothouse.experiments.annotation.commands.printing import keys

Act = Literal["answer", "skip", "undo", "comment", "more", "help", "quit"]

_ACTS: Final[dict[str, Act]] = {"s": "skip", "u": "undo", "c": "comment", "m": "more", "?": "help", "q": "quit"}
_END = {"\x03", "\x04", "\x1b"}


class Typed(Struct, frozen=True, kw_only=True):
    """What was typed: what to do, and the words beside it."""

    act: Act
    text: str = ""


class Keyboard:
    """Reads what a reviewer types.

    Args:
        question: What is asked.
        out: Where it is asked.
        skips: Whether an item may be skipped and an answer taken back.
    """

    def __init__(self, question: Question, out: Console, *, skips: bool = True) -> None:
        self._question = question
        self._out = out
        self._is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        acts = ("s skip", "u undo", "c comment", "m all of it", "q quit")
        slash = "/" if question.kind == "text" else ""
        self._hint = "   ".join(f"{slash}{act}" for act in acts if skips or act[0] not in "su")
        self._skips = skips

    def ask(self) -> Typed:
        """Return what is typed next; the end of input is to quit."""
        self._out.print(keys(self._question), end="", soft_wrap=True)
        self._out.print(self._hint, style="dim", markup=False)
        typed = self._key() if self._is_terminal and self._question.kind != "text" else self._line()
        if typed.act in {"skip", "undo"} and not self._skips:
            return Typed(act="help")
        if self._is_terminal and typed.act in {"skip", "comment"} and not typed.text:
            return Typed(act=typed.act, text=self._words("why? " if typed.act == "skip" else "comment: "))
        return typed

    def _key(self) -> Typed:
        key = click.getchar()
        if key in _END:
            return Typed(act="quit")
        act = _ACTS.get(key.lower())
        return Typed(act="answer", text=key) if act is None else Typed(act=act)

    def _line(self) -> Typed:
        line = self._read("> " if self._is_terminal else "")
        if line is None:
            return Typed(act="quit")
        word, _, rest = line.strip().partition(" ")
        is_text = self._question.kind == "text"
        if word.startswith("/") and len(word) == 2:
            word, is_text = word[1:], False
        act = None if is_text else _ACTS.get(word.lower())
        return Typed(act="answer", text=line) if act is None else Typed(act=act, text=rest.strip())

    def _words(self, prompt: str) -> str:
        return self._read(prompt) or ""

    def _read(self, prompt: str) -> str | None:
        """Return a line; None at the end of the input."""
        self._out.print(prompt, end="", markup=False)
        line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None


def refused(out: Console, error: DataError) -> None:
    """Say why an answer was not taken; the item is asked again."""
    out.print(f"{error.message}; expected: {error.expected}", style="red", markup=False, soft_wrap=True)
