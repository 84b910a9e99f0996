"""Which rows tell arms apart, which tell nothing, and which all arms fail: a matrix of arms by items, in one metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pilothouse.evaluation.items.agreement import evaluator_pairs
from pilothouse.evaluation.items.types import Deciding, Discrimination, Influence, ItemReport, Suspect
from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.statistics.arrays import BoolArray, FloatArray
from pilothouse.evaluation.types import Metric, Procedure, ScoredRow

MOST_ITEMS = 10
LEAST_ARMS = 5
"""Arms from which an item's correlation over them is given."""

_SAME = 1e-12


@dataclass
class _Item:
    """One item in one arm: its sum and number of values, and the labels that were answered."""

    total: float = 0.0
    n: int = 0
    truth: str | None = None
    answers: set[str | None] = field(default_factory=set[str | None])


def item_report(
    metrics: Sequence[Metric],
    runs: Mapping[str, Sequence[ScoredRow]],
    baseline: str,
    how: Procedure | None = None,
    *,
    line_of: Callable[[ScoredRow], str] = lambda row: row.id,
    most: int = MOST_ITEMS,
) -> ItemReport | None:
    """Return what single rows tell; None where the primary metric gives single rows no value, or there are none.

    Args:
        metrics: All metrics, the primary first; the others tell how far evaluators agree.
        runs: Arm's name -> scored rows; the baseline among them.
        baseline: Name of the baseline.
        how: How figures are made.
        line_of: The row of the data that a scored row belongs to; its own id, unless rows are repeated.
        most: Items at most in every list.

    Raises:
        DataError: when two rows of one arm have one id.
    """
    primary, procedure = metrics[0], how or Procedure()
    if primary.kind in {"labels", "sums"}:
        return None
    arms = {name: _items(primary, rows, procedure, line_of) for name, rows in runs.items()}
    every = list(dict.fromkeys(id_ for items in arms.values() for id_ in items))
    shared = [id_ for id_ in every if all(id_ in items for items in arms.values())]
    if not shared:
        return None
    table = np.array([[items[id_].total / items[id_].n for id_ in shared] for items in arms.values()])
    best, worst = _ends(primary)
    wrong = _all_equal(table, worst)
    found, negative = _discriminations(table, shared, most)
    right_at_all = None if best is None else int(_all_equal(table, best).sum())
    return ItemReport(
        metric=primary.name,
        arms=tuple(arms),
        items=len(shared),
        unmeasured=len(every) - len(shared),
        informative=int((np.ptp(table, axis=0) > _SAME).sum()),
        levels=_levels(table, primary),
        all_right=right_at_all,
        all_wrong=None if worst is None else int(wrong.sum()),
        suspects=_suspects(wrong, shared, list(arms.values()), most),
        deciding=tuple(
            _deciding(name, (arms[baseline], items), higher=primary.better == "higher", most=most)
            for name, items in arms.items()
            if name != baseline
        ),
        discriminations=found,
        negative=negative,
        pairs=evaluator_pairs(metrics, runs, procedure, line_of=line_of, most=most),
    )


def _items(
    metric: Metric, rows: Sequence[ScoredRow], how: Procedure, line_of: Callable[[ScoredRow], str]
) -> dict[str, _Item]:
    entries = observe(metric, rows, how.failures).entries
    found: dict[str, _Item] = {}
    for row in rows:
        entry = entries.get(row.id)
        if entry is not None:
            item = found.setdefault(line_of(row), _Item())
            item.total += entry.value
            item.n += 1
            if entry.pair.truth:
                item.truth = entry.pair.truth
                item.answers.add(entry.pair.prediction)
    return found


def _ends(metric: Metric) -> tuple[float | None, float | None]:
    """Return the best and the worst possible value, where they are known."""
    if metric.bounds is None:
        return None, None
    low, high = metric.bounds
    return (high, low) if metric.better == "higher" else (low, high)


def _all_equal(table: FloatArray, value: float | None) -> BoolArray:
    if value is None:
        return np.zeros(len(table[0]), dtype=np.bool_)
    # Between the extremes of an item lie all its values.
    low, high = np.amin(table, axis=0), np.amax(table, axis=0)
    return np.asarray((low >= value - _SAME) & (high <= value + _SAME), dtype=np.bool_)


def _levels(table: FloatArray, metric: Metric) -> tuple[int, ...]:
    if metric.kind != "rate":
        return ()
    right = table > 0.5 if metric.better == "higher" else table < 0.5
    return tuple(np.bincount(right.sum(axis=0), minlength=len(table) + 1).tolist())


def _suspects(
    wrong: BoolArray, ids: Sequence[str], arms: Sequence[Mapping[str, _Item]], most: int
) -> tuple[Suspect, ...]:
    found: list[Suspect] = []
    for place in np.flatnonzero(wrong).tolist():
        items = [arm[ids[place]] for arm in arms]
        answers = {answer for item in items for answer in item.answers}
        agreed = next(iter(answers)) if len(answers) == 1 else None
        found.append(Suspect(id=ids[place], truth=items[0].truth, answer=agreed))
    return tuple(sorted(found, key=lambda item: item.answer is None)[:most])


def _deciding(
    name: str, sides: tuple[Mapping[str, _Item], Mapping[str, _Item]], *, higher: bool, most: int
) -> Deciding:
    base, items = sides
    ids = [id_ for id_ in base if id_ in items]
    if not ids:
        return Deciding(candidate=name, items=0, differing=0, half=0)
    before = np.array([base[id_].total / base[id_].n for id_ in ids])
    after = np.array([items[id_].total / items[id_].n for id_ in ids])
    gaps = after - before
    sizes = np.sort(np.abs(gaps))[::-1]
    enough = int(np.searchsorted(np.cumsum(sizes), float(sizes.sum()) / 2.0 - _SAME)) + 1
    change = (gaps - gaps.mean()) / max(1, len(gaps) - 1)

    def listed(sign: float) -> tuple[Influence, ...]:
        sorted_: list[int] = np.argsort(-sign * gaps, kind="stable").tolist()
        order = [place for place in sorted_[:most] if sign * gaps[place] > _SAME]
        return tuple(
            Influence(id=ids[p], baseline=float(before[p]), candidate=float(after[p]), change=float(change[p]))
            for p in order
        )

    up, down = listed(1.0), listed(-1.0)
    return Deciding(
        candidate=name,
        items=len(ids),
        differing=int((np.abs(gaps) > _SAME).sum()),
        half=enough if sizes[0] > _SAME else 0,
        better=up if higher else down,
        worse=down if higher else up,
    )


def _discriminations(table: FloatArray, ids: Sequence[str], most: int) -> tuple[tuple[Discrimination, ...], int | None]:
    """Return the items that go least with the others, and how many go against them."""
    arms, items = table.shape
    if arms < LEAST_ARMS or items < 2:
        return (), None
    rest = (table.sum(axis=1, keepdims=True) - table) / (items - 1)
    own, others = table - table.mean(axis=0), rest - rest.mean(axis=0)
    scale = np.sqrt((own**2).sum(axis=0) * (others**2).sum(axis=0))
    varies = scale > _SAME
    correlations = np.full(items, np.nan)
    correlations[varies] = (own * others).sum(axis=0)[varies] / scale[varies]
    order: list[int] = np.argsort(correlations, kind="stable").tolist()
    found = tuple(
        Discrimination(id=ids[p], correlation=float(correlations[p]), difficulty=float(table[:, p].mean()))
        for p in order[: min(most, int(varies.sum()))]
    )
    return found, int((correlations[varies] < 0.0).sum())
