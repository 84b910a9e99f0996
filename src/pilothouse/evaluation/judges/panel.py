"""Judges of one rubric, and what their answers come to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from msgspec.structs import replace

from pilothouse.evaluation.judges.reply import Reply, read
from pilothouse.evaluation.judges.rubric import Rubric
from pilothouse.evaluation.judges.seats import Answer, Seats
from pilothouse.models.types import Message


class Panel:
    """Judges of one rubric."""

    def __init__(self, rubric: Rubric, seats: Seats) -> None:
        self._rubric = rubric
        self._seats = seats
        self.identity: list[Any] = seats.identity
        self.calls = seats.calls

    def open(self) -> None:
        """Begin to ask in this event loop."""
        self._seats.open()

    async def ask(self, messages: tuple[Message, ...]) -> list[Reply]:
        """Return the answers of all judges, in the order of seats and votes; whatever fails is an answer too."""
        return [self._read(answer) for answer in await self._seats.ask(messages, self._rubric.schema())]

    def _read(self, answer: Answer) -> Reply:
        if answer.error is not None:
            return Reply(state="error", reason=answer.error, judge=answer.judge)
        return replace(read(answer.text, self._rubric), judge=answer.judge)


def agreed(replies: Sequence[Reply], rubric: Rubric) -> Reply:
    """Return what the answers come to together.

    Yes and no by majority, and abstained when they are even; of levels, and of two answers, the median. Less than half
    of the judges decide nothing: then it is abstained when any judge did, else unparsable when any answer was, else
    the first error.
    """
    told = [reply for reply in replies if reply.state == "ok"]
    if 2 * len(told) < len(replies) or not told:
        order = ("abstained", "unparsable", "error")
        return min((reply for reply in replies if reply.state != "ok"), key=lambda reply: order.index(reply.state))
    verdicts = [reply.verdict for reply in told if reply.verdict is not None]
    if rubric.kind != "binary":
        middle = median(verdicts)
        nearest = min(told, key=lambda reply: abs((reply.verdict or 0) - middle))
        return Reply(state="ok", verdict=float(middle), reason=nearest.reason)
    times = Counter(verdicts)
    if times[True] == times[False]:
        return Reply(state="abstained", reason="the judges are divided")
    verdict = times[True] > times[False]
    return next(reply for reply in told if reply.verdict is verdict)
