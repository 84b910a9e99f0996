"""Every slice of every arm: figures, differences from the baseline, and whether slices differ at all, all corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from msgspec import structs

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.compare import compare, correct
from pilothouse.evaluation.observations import Entry, clusters, observe
from pilothouse.evaluation.slices.types import Contrast, Cut, Heterogeneity, Slice, SliceReport, Slicing, Standing
from pilothouse.evaluation.statistics.corrections import benjamini_hochberg, holm
from pilothouse.evaluation.statistics.heterogeneity import Between, between, cochran
from pilothouse.evaluation.statistics.special import two_sided_z
from pilothouse.evaluation.types import Estimate, Metric, Procedure, ScoredRow

Runs = Mapping[str, Sequence[ScoredRow]]
LineOf = Callable[[ScoredRow], str]

_ADJUST = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}
_MEANS = ("rate", "mean")


def slice_report(
    metric: Metric,
    runs: Runs,
    baseline: str,
    cuts: Sequence[Cut],
    slicing: Slicing,
    how: Procedure | None = None,
    *,
    line_of: LineOf = lambda row: row.id,
) -> SliceReport:
    """Return what one metric is in every slice.

    Args:
        metric: The metric.
        runs: Arm's name -> scored rows; the baseline among them.
        baseline: Name of the baseline.
        cuts: The rows of the data, as they are cut.
        slicing: Correction and least number of rows.
        how: How figures and comparisons are made.
        line_of: The id under which a scored row stands in the cuts; its own, unless rows are repeated.

    Raises:
        DataError: as `estimate` and `compare`.
    """
    procedure = structs.replace(how or Procedure(), correction=slicing.correction)
    found = [_Cutting(metric, runs, baseline, cut, slicing.min_rows, procedure, line_of) for cut in cuts]
    family = sum(item.tested for item in found) * (len(runs) - 1)
    slices = _corrected([part for item in found for part in item.slices(max(1, family))], metric, procedure)
    tests = [test for item in found for test in item.tests()]
    return SliceReport(
        metric=metric.name,
        slices=slices,
        heterogeneity=tuple(_settled(tests, procedure)),
        correction=f"{slicing.correction}, {family} comparisons of slices" if family else slicing.correction,
        alpha=procedure.alpha,
        min_rows=slicing.min_rows,
        notes=tuple(f"{cut.by}: {cut.note}" for cut in cuts if cut.note),
    )


class _Cutting:
    """One way to cut the rows of all arms."""

    def __init__(
        self, metric: Metric, runs: Runs, baseline: str, cut: Cut, least: int, how: Procedure, line_of: LineOf
    ) -> None:
        self._metric, self._baseline, self._cut, self._how = metric, baseline, cut, how
        self._arms = {name: _parted(rows, cut, line_of) for name, rows in runs.items()}
        everywhere = [
            [row for parts in self._arms.values() for row in parts[place]] for place in range(len(cut.labels))
        ]
        self._units = [len({row.cluster or row.id for row in rows}) for rows in everywhere]
        self._enough = [place for place, units in enumerate(self._units) if units >= least]
        self._by_slice: dict[str, list[Estimate]] = {
            name: [estimate(metric, rows, how) for rows in parts] for name, parts in self._arms.items()
        }
        self._levels = {name: self._between(parts) for name, parts in self._arms.items()}

    @property
    def tested(self) -> int:
        """Slices with enough rows for a verdict."""
        return len(self._enough)

    def slices(self, family: int) -> Iterator[Slice]:
        """Yield the slices, not corrected yet; ``family`` is the number of comparisons made in all."""
        for place, label in enumerate(self._cut.labels):
            enough = place in self._enough
            yield Slice(
                by=self._cut.by,
                value=label,
                rows=max(len(parts[place]) for parts in self._arms.values()),
                units=self._units[place],
                too_few=not enough,
                estimates={name: found[place] for name, found in self._by_slice.items()},
                comparisons=tuple(
                    compare(
                        self._metric,
                        self._arms[self._baseline][place],
                        parts[place],
                        self._how,
                        names=(self._baseline, name),
                        family=family,
                    )
                    for name, parts in self._arms.items()
                    if enough and name != self._baseline
                ),
                contrasts=tuple(self._contrast(name, place, enough=enough) for name in self._arms),
            )

    def tests(self) -> Iterator[Heterogeneity]:
        """Yield whether the slices differ: every candidate's difference, then every arm's own score."""
        for name, parts in self._arms.items():
            if name != self._baseline:
                yield self._difference_test(name, parts)
        for name in self._arms:
            yield self._score_test(name)

    def _contrast(self, arm: str, place: int, *, enough: bool) -> Contrast:
        found = self._levels[arm]
        if not enough:
            return Contrast(arm=arm, difference=None, standing="too few")
        if found is None:
            return Contrast(arm=arm, difference=None)
        item = found.contrasts[self._enough.index(place)]
        return Contrast(arm=arm, difference=item.difference, interval=item.interval, p_value=item.p_value)

    def _difference_test(self, name: str, parts: Sequence[Sequence[ScoredRow]]) -> Heterogeneity:
        if self._metric.kind in _MEANS:
            base = self._arms[self._baseline]
            return self._of(name, "difference", self._between(parts, base))
        figures = [
            compare(self._metric, self._arms[self._baseline][place], parts[place], self._how).difference
            for place in self._enough
        ]
        return self._by_q(name, "difference", figures)

    def _score_test(self, name: str) -> Heterogeneity:
        if self._metric.kind in _MEANS:
            return self._of(name, "score", self._levels[name])
        return self._by_q(name, "score", [self._by_slice[name][place] for place in self._enough])

    def _between(
        self, parts: Sequence[Sequence[ScoredRow]], base: Sequence[Sequence[ScoredRow]] | None = None
    ) -> Between | None:
        """Return whether the slices with enough rows differ in their means, or in those of the paired differences."""
        if self._metric.kind not in _MEANS or len(self._enough) < 2:
            return None
        values: list[float] = []
        entries: list[Entry] = []
        ids: list[str] = []
        places: list[int] = []
        for number, place in enumerate(self._enough):
            seen = observe(self._metric, parts[place], self._how.failures).entries
            before = None if base is None else observe(self._metric, base[place], self._how.failures).entries
            shared = [id_ for id_ in seen if before is None or id_ in before]
            values += [seen[id_].value - (before[id_].value if before is not None else 0.0) for id_ in shared]
            entries += [seen[id_] for id_ in shared]
            ids += shared
            places += [number] * len(shared)
        if len(set(places)) < len(self._enough):
            return None
        return between(
            np.array(values, dtype=np.float64),
            np.array(places, dtype=np.int64),
            clusters(entries, ids),
            level=self._how.level,
            permutations=self._how.permutations,
            seed=self._how.seed,
        )

    def _of(self, arm: str, of: Literal["difference", "score"], found: Between | None) -> Heterogeneity:
        size = len(self._enough)
        if found is None:
            return self._untested(arm, of)
        return Heterogeneity(
            by=self._cut.by, arm=arm, of=of, slices=size, statistic=found.statistic, test=found.test,
            p_value=found.p_value, note=None if found.p_value is not None else found.test.removeprefix("none: "),
        )  # fmt: skip

    def _by_q(self, arm: str, of: Literal["difference", "score"], figures: Sequence[Estimate]) -> Heterogeneity:
        known = [(item.value, item.interval) for item in figures]
        z = two_sided_z(self._how.level)
        usable = [(v, (i.high - i.low) / 2.0 / z) for v, i in known if v is not None and i is not None]
        usable = [(value, error) for value, error in usable if error > 0.0]
        if len(usable) < 2:
            return self._untested(arm, of, "fewer than two slices with a spread")
        q, p = cochran([value for value, _ in usable], [error for _, error in usable])
        test = f"Cochran's Q, {len(usable) - 1} df"
        return Heterogeneity(
            by=self._cut.by, arm=arm, of=of, slices=len(usable), statistic=q, test=test, p_value=p,
            note="asymptotic: it rests on bootstrap errors"
            + (f"; {missing} without a spread left out" if (missing := len(figures) - len(usable)) else ""),
        )  # fmt: skip

    def _untested(
        self, arm: str, of: Literal["difference", "score"], why: str = "fewer than two slices with enough rows"
    ) -> Heterogeneity:
        return Heterogeneity(by=self._cut.by, arm=arm, of=of, slices=len(self._enough), note=why)


def _parted(rows: Sequence[ScoredRow], cut: Cut, line_of: LineOf) -> list[list[ScoredRow]]:
    found: list[list[ScoredRow]] = [[] for _ in cut.labels]
    # In the order of their ids: sums and shuffles then do not depend on that of the rows.
    for row in sorted(rows, key=lambda row: row.id):
        place = cut.of.get(line_of(row))
        if place is not None:
            found[place].append(row)
    return found


def _corrected(drafts: Sequence[Slice], metric: Metric, how: Procedure) -> tuple[Slice, ...]:
    """Return slices with p-values adjusted over all of them and all arms, and verdicts to match."""
    compared = iter(correct([item for draft in drafts for item in draft.comparisons], how.correction))
    contrasts = [item for draft in drafts for item in draft.contrasts]
    adjusted = _adjusted([item.p_value for item in contrasts], how)
    settled = iter(
        structs.replace(item, p_adjusted=p, standing=_standing(item, p, metric, how))
        for item, p in zip(contrasts, adjusted, strict=True)
    )
    return tuple(
        structs.replace(
            draft,
            comparisons=tuple(next(compared) for _ in draft.comparisons),
            contrasts=tuple(next(settled) for _ in draft.contrasts),
        )
        for draft in drafts
    )


def _standing(item: Contrast, p_adjusted: float | None, metric: Metric, how: Procedure) -> Standing:
    if item.standing == "too few" or p_adjusted is None or item.difference is None:
        return item.standing
    apart = item.interval is not None and not item.interval.low <= 0.0 <= item.interval.high
    if p_adjusted >= how.alpha or not apart:
        return "inconclusive"
    return "stronger" if (item.difference > 0.0) == (metric.better == "higher") else "weaker"


def _settled(tests: Sequence[Heterogeneity], how: Procedure) -> Iterator[Heterogeneity]:
    """Yield the tests of the differences, then those of the scores, each kind corrected by itself."""
    for kind in ("difference", "score"):
        own = [item for item in tests if item.of == kind]
        for item, p in zip(own, _adjusted([item.p_value for item in own], how), strict=True):
            yield structs.replace(item, p_adjusted=p, differs=p is not None and p < how.alpha)


def _adjusted(p_values: Sequence[float | None], how: Procedure) -> list[float | None]:
    tested = [p for p in p_values if p is not None]
    adjusted = iter(_ADJUST[how.correction](tested) if how.correction in _ADJUST else tested)
    return [None if p is None else next(adjusted) for p in p_values]
