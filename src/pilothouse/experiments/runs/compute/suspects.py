"""Lines that were in a worker when it died: run again, in ever smaller company, until it is clear which one kills."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pilothouse.experiments.runs.engine.lines import Line

#: Lines that share a worker after they were in one, two, ... workers that died. The last is alone; if its worker dies
#: too, the line has failed.
COMPANY = (8, 1)

Key = tuple[int, int]


def key_of(line: Line) -> Key:
    """Return what identifies a line in its run."""
    return line.number, line.repeat


class Suspects:
    """The lines that one of killed its worker."""

    def __init__(self) -> None:
        self._waiting: deque[Line] = deque()
        self._deaths: dict[Key, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, lines: Iterable[Line]) -> list[Line]:
        """Note that a worker died with these lines; return those that have died alone, and run no more."""
        guilty: list[Line] = []
        for line in lines:
            deaths = self._deaths[key_of(line)] = self._deaths.get(key_of(line), 0) + 1
            if deaths > len(COMPANY):
                guilty.append(line)
            else:
                self._waiting.append(line)
        return guilty

    def take(self) -> list[Line]:
        """Return lines that may be run together."""
        taken: list[Line] = []
        while self._waiting and len(taken) < self._room(taken):
            taken.append(self._waiting.popleft())
        return taken

    def drain(self) -> list[Line]:
        """Return all that wait."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

    def _room(self, taken: list[Line]) -> int:
        """Return how many lines the company of the next one may have."""
        lines = (*taken, self._waiting[0])
        return min(COMPANY[self._deaths[key_of(line)] - 1] for line in lines)
