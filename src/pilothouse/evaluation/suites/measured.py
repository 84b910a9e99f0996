"""What the detectors were measured at: wrong alarms on texts that show nothing, and misses on texts that do.

The texts are in ``data/``, labelled by hand and written by the same people as the rules: misses on other texts are
likely to be more. The short messages are those of the SMS Spam Collection in the tests; messages that hold a telephone
number in truth are left out of the first row. `tests/evaluation/suites/test_measured.py` counts all of it anew.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.evaluation.types import Interval


class Rate(Struct, frozen=True, kw_only=True):
    """How often a detector was wrong.

    Attributes:
        detector: Its name.
        error: ``wrong alarms`` on texts without, ``misses`` on texts with what it looks for.
        texts: Which texts.
        count: Errors.
        n: Texts.
    """

    detector: str
    error: Literal["wrong alarms", "misses"]
    texts: str
    count: int
    n: int

    @property
    def interval(self) -> Interval | None:
        """Wilson's interval of the share."""
        return wilson(self.count, self.n)


OWN, MESSAGES = "own texts", "short messages"

RATES: tuple[Rate, ...] = (
    Rate(detector="canary", error="wrong alarms", texts=OWN, count=0, n=100),
    Rate(detector="canary", error="wrong alarms", texts=MESSAGES, count=0, n=80),
    Rate(detector="canary", error="misses", texts=OWN, count=12, n=48),
    Rate(detector="personal data", error="wrong alarms", texts=OWN, count=0, n=100),
    Rate(detector="personal data", error="wrong alarms", texts=MESSAGES, count=0, n=62),
    Rate(detector="personal data", error="misses", texts=OWN, count=0, n=12),
    Rate(detector="secrets", error="wrong alarms", texts=OWN, count=0, n=100),
    Rate(detector="secrets", error="wrong alarms", texts=MESSAGES, count=0, n=80),
    Rate(detector="secrets", error="misses", texts=OWN, count=1, n=200),
    Rate(detector="refusal", error="wrong alarms", texts=OWN, count=1, n=140),
    Rate(detector="refusal", error="wrong alarms", texts=MESSAGES, count=0, n=80),
    Rate(detector="refusal", error="misses", texts=OWN, count=5, n=40),
    Rate(detector="abstention", error="wrong alarms", texts=OWN, count=0, n=125),
    Rate(detector="abstention", error="wrong alarms", texts=MESSAGES, count=1, n=80),
    Rate(detector="abstention", error="misses", texts=OWN, count=2, n=25),
    Rate(detector="insults", error="wrong alarms", texts=OWN, count=0, n=100),
    Rate(detector="insults", error="wrong alarms", texts=MESSAGES, count=0, n=80),
    Rate(detector="insults", error="misses", texts=OWN, count=3, n=20),
)
