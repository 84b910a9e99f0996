"""A JSON file that is one array of objects, read object by object: never the whole file at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pilothouse.core.canonical import CHUNK
from pilothouse.core.errors import DataError
from pilothouse.datasets.readers.base import ReadOptions, Record, open_text
from pilothouse.datasets.readers.jsonl import read_object

_SPACE = re.compile(r"[ \t\r\n]*")
# An error this near to the end of the text may only mean that the rest has not been read yet (`-Infinit`, `\u12`).
_NEAR_END = 16

_scan = json.JSONDecoder().raw_decode


def read_json(path: Path, options: ReadOptions) -> Iterator[Record]:
    """Yield the objects of the array that is the file.

    Raises:
        DataError: when the file is not one array of objects, with file and line.
    """
    with open_text(path, options, newline="") as stream:
        window = _Window(stream, path)
        first = window.next()
        if not first:
            return
        if first != "[":
            raise window.error(
                "the file does not begin with an array",
                expected='[{"text": "..."}, ...]',
                fix="name the file .jsonl if it has one object on each line",
            )
        window.step()
        if window.next() == "]":
            window.step()
        else:
            yield from _items(window)
        if window.next():
            raise window.error("something stands after the end of the array")


def _items(window: _Window) -> Iterator[Record]:
    mark = ","
    while mark == ",":
        if not window.next():
            raise window.error("the file ends inside the array")
        yield window.item()
        mark = window.next()
        if mark not in {",", "]"}:
            raise window.error("the file ends inside the array" if not mark else "a comma or ] is missing here")
        window.step()


class _Window:
    """The part of the file in memory: from the next value on, about one chunk, or one object if that is bigger."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._text = ""
        self._position = 0
        self._line = 1
        self._counted = 0
        self._ended = False

    def next(self) -> str:
        """Go to the next character that is not space and return it; nothing at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if self._ended:
                return ""
            self._read_on()

    def step(self) -> None:
        """Go past the present character."""
        self._position += 1

    def item(self) -> Record:
        """Return the object that begins here, and go past it."""
        line = self._present_line()
        end = self._end_of_value()
        text = self._text[self._position : end]
        self._position = end
        return Record(self._path, line, read_object(text, f"{self._path}:{line}"))

    def error(self, message: str, expected: str | None = None, fix: str | None = None) -> DataError:
        """Return an error at the present line."""
        return DataError(message, where=f"{self._path}:{self._present_line()}", expected=expected, fix=fix)

    def _end_of_value(self) -> int:
        while True:
            try:
                return _scan(self._text, self._position)[1]
            except json.JSONDecodeError as problem:
                is_cut = problem.msg.startswith("Unterminated") or problem.pos >= len(self._text) - _NEAR_END
                if self._ended or not is_cut:
                    self._position = problem.pos
                    raise self.error(f"this is not JSON: {problem.msg}") from problem
                self._read_on()
            except (RecursionError, ValueError) as problem:
                raise self.error("the JSON is nested too deeply or has an endless number") from problem

    def _read_on(self) -> None:
        # Twice as much each time: a big object is scanned again only a few times.
        chunk = self._stream.read(max(CHUNK, len(self._text)))
        self._present_line()
        self._text = self._text[self._position :] + chunk
        self._position = self._counted = 0
        self._ended = not chunk

    def _present_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line
