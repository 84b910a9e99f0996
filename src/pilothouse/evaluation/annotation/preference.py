"""Which side of pairs people prefer, and whether they prefer a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from pilothouse.evaluation.annotation.types import Label
from pilothouse.evaluation.statistics.intervals import mean_interval, paired_rate_interval, wilson
from pilothouse.evaluation.statistics.tests import least_discordant, mcnemar
from pilothouse.evaluation.types import Interval, Verdict

ALPHA = 0.05


class Position(Struct, frozen=True, kw_only=True):
    """Whether answers won for standing first: of items with a winner, those won by answer 1 and by answer 2.

    Attributes:
        first: Items on which answer 1 was chosen more often.
        second: Items on which answer 2 was.
        interval: Of the share of ``first``, Wilson's.
        p_value: Of the exact sign test that both are as likely.
    """

    first: int
    second: int
    interval: Interval | None
    p_value: float


class Preference(Struct, frozen=True, kw_only=True):
    """A candidate against a baseline, as people judge pairs.

    The unit is the item: several labels of one item are put together first, for they are not independent. An item is
    won by the side that more of its labels prefer.

    Attributes:
        wins: Items that the candidate wins.
        losses: Items that the baseline wins.
        ties: Items that nobody wins.
        net: (wins - losses) / items; None without items.
        interval: Of ``net``, Tango's score interval.
        win_rate: Mean over items of the share of labels for the candidate, a tie counting half.
        win_interval: Of ``win_rate``, Student's over items.
        p_value: Of the exact sign test over items; ties say nothing.
        verdict: On the candidate; ``inconclusive`` unless the test and the interval both say otherwise.
        labels: Labels for the candidate, for the baseline, for neither.
        position: Whether the place won.
        note: What a reader must know.
    """

    wins: int
    losses: int
    ties: int
    net: float | None
    interval: Interval | None
    win_rate: float | None
    win_interval: Interval | None
    p_value: float
    verdict: Verdict
    labels: tuple[int, int, int]
    position: Position
    note: str | None = None


def preference_of(labels: Sequence[Label], alpha: float = ALPHA) -> Preference:
    """Return what labels of pairs say.

    Args:
        labels: Those of reviewers that hold.
        alpha: Chance of a false difference that is accepted.
    """
    told = [(label, float(label.value)) for label in labels if isinstance(label.value, int | float)]
    by_item: dict[int, list[float]] = {}
    by_place: dict[int, list[float]] = {}
    for label, value in told:
        by_item.setdefault(label.place, []).append(value - 0.5)
        by_place.setdefault(label.place, []).append((value - 0.5) * (1.0 if label.first == "candidate" else -1.0))
    wins, losses = _signs(by_item)
    n = len(by_item)
    test = mcnemar(losses, wins)
    interval = paired_rate_interval(losses, wins, n, 1.0 - alpha)
    means = np.array([0.5 + float(np.mean(values)) for values in by_item.values()])
    first, second = _signs(by_place)
    few = 0 < wins + losses < least_discordant(alpha)
    return Preference(
        wins=wins,
        losses=losses,
        ties=n - wins - losses,
        net=(wins - losses) / n if n else None,
        interval=interval,
        win_rate=float(means.mean()) if n else None,
        win_interval=mean_interval(means, 1.0 - alpha, bounds=(0.0, 1.0)),
        p_value=test.p_value,
        verdict=_verdict(test.p_value, interval, alpha),
        labels=(sum(v == 1.0 for _, v in told), sum(v == 0.0 for _, v in told), sum(v == 0.5 for _, v in told)),
        position=Position(
            first=first,
            second=second,
            interval=wilson(first, first + second, 1.0 - alpha),
            p_value=mcnemar(first, second).p_value,
        ),
        note=f"too few: at least {least_discordant(alpha)} items with a winner are needed to tell anything"
        if few
        else None,
    )


def _signs(items: Mapping[int, Sequence[float]]) -> tuple[int, int]:
    """Return how many items lean to the positive side and how many to the negative one."""
    sums = [sum(values) for values in items.values()]
    return sum(total > 0 for total in sums), sum(total < 0 for total in sums)


def _verdict(p_value: float, interval: Interval | None, alpha: float) -> Verdict:
    if p_value >= alpha or interval is None or interval.low <= 0.0 <= interval.high:
        return "inconclusive"
    return "better" if interval.low > 0.0 else "worse"
