"""How many lines a worker on Ray is given ahead of its answers."""

from __future__ import annotations

#: Seconds of work that a worker has ahead: several times what a message takes to come and go.
AHEAD = 0.2

#: Lines at most, however quick they are.
MOST = 1024


class Window:
    """The lines that one worker may have.

    Rows that wait for models are begun at once, as many as there may be. Plain Python may be heavy, and what one
    worker has in line no other can take: it begins with one line, and gets twice as many each time it answers.
    Where rows are quick, a worker has as many in line as it has run in the last moments.

    Args:
        in_flight: Lines that it runs at once.
        is_sync: Whether the flow is of plain Python functions.
    """

    def __init__(self, in_flight: int, *, is_sync: bool) -> None:
        self._in_flight = in_flight
        self._base = 1 if is_sync else in_flight
        self.size = self._base

    def heard(self, rows: int, seconds: float) -> None:
        """Learn from rows that came back, and the seconds since those before."""
        self._base = min(self._in_flight, 2 * self._base)
        quick = int(AHEAD * rows / max(seconds, 1e-3))
        self.size = min(MOST, max(self._base, min(quick, 2 * self.size)))
