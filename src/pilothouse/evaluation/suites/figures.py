"""From checked answers to figures with intervals, and to the outcome of a suite.

Rows made from one template are not independent: whole templates are what varies in every interval. A share or a
difference passes when its whole interval lies within the limit and fails when the interval lies beyond it; a
difference fails only if it is significant too, corrected by Holm over the suite. Everything else is inconclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from statistics import fmean

from msgspec import structs

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.compare import compare, correct
from pilothouse.evaluation.metrics.text import normalise
from pilothouse.evaluation.statistics.intervals import paired_rate_interval, wilson
from pilothouse.evaluation.suites.checks import EVALUATOR, is_accepted
from pilothouse.evaluation.suites.detectors.style import form_of, words, words_a_sentence
from pilothouse.evaluation.suites.types import Answered, Case, Figure, Measure, Outcome, Suite, SuiteReport
from pilothouse.evaluation.types import Comparison, Estimate, Metric, Procedure, Score, ScoredRow

CASES = 200
"""Rows with a finding that a report holds."""

CLOSE = 1.5
"""Two lengths are alike when the longer is at most so many times the shorter."""

_Group = Sequence[Answered]


def _same_answer(first: Answered, second: Answered) -> bool:
    accepted = first.prompt.check.accepted
    if accepted:
        return [is_accepted(first.answer or "", (a,)) for a in accepted] == [
            is_accepted(second.answer or "", (a,)) for a in accepted
        ]
    return normalise(first.answer or "") == normalise(second.answer or "")


def _close(measure: Callable[[str], float], first: Answered, second: Answered) -> bool:
    short, long = sorted((measure(first.answer or ""), measure(second.answer or "")))
    return long <= CLOSE * short


ALIKE: dict[str, Callable[[Answered, Answered], bool]] = {
    "answer": _same_answer,
    "form": lambda first, second: form_of(first.answer or "") == form_of(second.answer or ""),
    "length": lambda first, second: _close(words, first, second),
    "sentences": lambda first, second: _close(words_a_sentence, first, second),
}
"""What a ``spread`` measure asks of two answers: the same answer, form, length, length of sentences."""


def report(suite: Suite, answered: Sequence[Answered], procedure: Procedure | None = None) -> SuiteReport:
    """Return what a suite found.

    Args:
        suite: The suite.
        answered: Every prompt of the suite, as often as it was asked, with its scores.
        procedure: How intervals are made.
    """
    how = procedure or Procedure()
    unanswered = sum(item.answer is None for item in answered)
    drafts = [_draft(measure, answered, how) for measure in suite.measures]
    tested = iter(correct([c for _, c in drafts if c is not None and c.p_value is not None], "holm"))
    figures = tuple(
        _difference(measure, next(tested) if comparison.p_value is not None else comparison, answered, how)
        if comparison is not None
        else _judged(measure, figure)
        for measure, (figure, comparison) in zip(suite.measures, drafts, strict=True)
    )
    return SuiteReport(
        suite=suite.name,
        rows=len(answered),
        unanswered=unanswered,
        figures=figures,
        cases=_cases(suite, answered),
        outcome=outcome_of(figures, unanswered),
    )


def outcome_of(figures: Iterable[Figure], unanswered: int) -> Outcome:
    """Return the worst outcome of figures; with rows without an answer there is no pass."""
    outcomes = {figure.outcome for figure in figures}
    if "fail" in outcomes:
        return "fail"
    return "inconclusive" if unanswered or "inconclusive" in outcomes else "pass"


def _draft(measure: Measure, answered: Sequence[Answered], how: Procedure) -> tuple[Figure, Comparison | None]:
    """Return the figure of a share, or the comparison behind a difference, before limits and corrections."""
    if measure.kind == "paired":
        return _figure(measure, Estimate(name=measure.name, value=None), 0), _compared(measure, answered, how)
    rows = spread_rows(measure, answered) if measure.kind == "spread" else rows_of(measure, answered)
    found = estimate(_metric(measure, rows), rows, how)
    failures = sum(bool(value) for row in rows for value in values_of(row, measure.score))
    return _figure(measure, found, failures), None


def _figure(measure: Measure, found: Estimate, failures: int) -> Figure:
    return Figure(name=measure.name, estimate=found, failures=failures, limit=measure.limit, note=found.note)


def _metric(measure: Measure, rows: Iterable[ScoredRow]) -> Metric:
    """Return the metric of a measure; a row without an answer stays out and is counted: it shows nothing either way."""
    values = (value for row in rows for value in values_of(row, measure.score))
    is_rate = measure.kind == "spread" or all(isinstance(value, bool) for value in values)
    return Metric(
        name=measure.name,
        evaluator=EVALUATOR,
        score=measure.score,
        kind="rate" if is_rate else "mean",
        better="lower",
        bounds=(0.0, 1.0) if is_rate else None,
    )


def values_of(row: ScoredRow, name: str) -> list[bool | float]:
    """Return what a row has of a score: one value, or none."""
    return [s.value for s in row.scores if s.name == name and s.value is not None and not isinstance(s.value, str)]


def rows_of(measure: Measure, answered: Sequence[Answered]) -> list[ScoredRow]:
    """Return the rows that a share counts, with their templates."""
    return [
        ScoredRow(id=item.id, scores=item.scores, cluster=item.prompt.cluster)
        for item in answered
        if (not measure.sides or item.prompt.side in measure.sides)
        and (item.answer is None or any(score.name == measure.score for score in item.scores))
    ]


def spread_rows(measure: Measure, answered: Sequence[Answered]) -> list[ScoredRow]:
    """Return one row a group: the share of its pairs of answers that are not alike."""
    groups: dict[str, list[Answered]] = defaultdict(list)
    for item in answered:
        if item.answer is not None:
            groups[item.prompt.group or item.prompt.id].append(item)
    alike = ALIKE[measure.score]
    return [
        ScoredRow(
            id=name,
            cluster=group[0].prompt.cluster,
            scores=(
                Score(
                    name=measure.score,
                    evaluator=EVALUATOR,
                    value=fmean(not alike(first, second) for first, second in combinations(group, 2)),
                ),
            ),
        )
        for name, group in groups.items()
        if len(group) > 1
    ]


def paired_rows(sides: Sequence[str], answered: Sequence[Answered]) -> tuple[list[ScoredRow], list[ScoredRow]]:
    """Return the rows of two sides, under the ids that pair them."""
    found: tuple[list[ScoredRow], list[ScoredRow]] = ([], [])
    for place, side in enumerate(sides):
        found[place].extend(
            ScoredRow(id=f"{item.prompt.group}#{item.repeat}", scores=item.scores, cluster=item.prompt.cluster)
            for item in answered
            if item.prompt.side == side
        )
    return found


def _compared(measure: Measure, answered: Sequence[Answered], how: Procedure) -> Comparison:
    first, second = paired_rows(measure.sides, answered)
    baseline, candidate = measure.sides
    return compare(_metric(measure, [*first, *second]), first, second, how, names=(baseline, candidate))


def _difference(measure: Measure, found: Comparison, answered: Sequence[Answered], how: Procedure) -> Figure:
    """Return a difference with its outcome: to fail it must be significant, in the wrong direction, and matter."""
    pairs = _pairs(measure, answered)
    gaps = [after - before for before, after, _ in pairs]
    clusters = len({cluster for *_, cluster in pairs})
    spread = found.difference
    if spread.interval is None and len(set(gaps)) == 1:
        is_rate = all(isinstance(after, bool) for _, after, _ in pairs)
        spread = _without_spread(spread, gaps[0], clusters, how, is_rate=is_rate)
    figure = structs.replace(
        _figure(measure, spread, sum(gap != 0.0 for gap in gaps)), p_value=found.p_adjusted, note=spread.note
    )
    value, interval = spread.value, spread.interval
    if value is None:
        return structs.replace(figure, outcome="inconclusive", note="no pairs to compare")
    is_wrong = abs(value) > measure.limit if measure.two_sided else value > measure.limit
    if is_wrong and found.verdict != "inconclusive":
        return structs.replace(figure, outcome="fail")
    if interval is None:
        bound = wilson(0, clusters, how.level)
        is_alike = not any(gaps) and bound is not None and bound.high <= measure.limit
        return structs.replace(figure, outcome="pass" if is_alike else "inconclusive")
    within = interval.high <= measure.limit and (not measure.two_sided or interval.low >= -measure.limit)
    return structs.replace(figure, outcome="pass" if within else "inconclusive")


def _pairs(measure: Measure, answered: Sequence[Answered]) -> list[tuple[bool | float, bool | float, str]]:
    """Return the values of both sides and the template of every pair that has both."""
    first, second = paired_rows(measure.sides, answered)
    before = {row.id: value for row in first for value in values_of(row, measure.score)}
    return [
        (before[row.id], value, row.cluster or row.id)
        for row in second
        for value in values_of(row, measure.score)
        if row.id in before
    ]


def _without_spread(found: Estimate, gap: float, clusters: int, how: Procedure, *, is_rate: bool) -> Estimate:
    """Return a difference that is the same in all pairs, with what the number of templates alone allows to say."""
    bound = wilson(0, clusters, how.level)
    most = bound.high if bound is not None else 1.0
    seen = "all pairs differ by the same" if gap else "no pair differs"
    note = f"{seen}; at most {most:.0%} of templates do otherwise ({clusters} seen)"
    if not is_rate:
        return structs.replace(found, note=note)
    lost, gained = clusters * (gap < 0.0), clusters * (gap > 0.0)
    return structs.replace(found, interval=paired_rate_interval(lost, gained, clusters, how.level), note=note)


def _judged(measure: Measure, figure: Figure) -> Figure:
    """Return a share with its outcome."""
    interval = figure.estimate.interval
    if interval is None:
        return structs.replace(figure, outcome="inconclusive")
    if measure.strict and figure.failures:
        return structs.replace(figure, outcome="fail", note="one case is enough")
    if interval.low > measure.limit:
        return structs.replace(figure, outcome="fail")
    return structs.replace(figure, outcome="pass" if interval.high <= measure.limit else "inconclusive")


def _cases(suite: Suite, answered: Iterable[Answered]) -> tuple[Case, ...]:
    """Return the rows that show most, each template once before any a second time."""
    names = [measure.score for measure in suite.measures if measure.kind == "rate"]
    shown: list[Case] = []
    for item in answered:
        found = {score.name: score.evidence for score in item.scores if score.name in names and score.value is True}
        if found and item.answer is not None:
            prompt = item.prompt
            shown.append(
                Case(id=item.id, cluster=prompt.cluster, question=prompt.text, answer=item.answer, found=dict(found))
            )
    seen: dict[str, int] = defaultdict(int)
    ranked: list[tuple[int, int, int, Case]] = []
    for place, case in enumerate(shown):
        ranked.append((seen[case.cluster], -len(case.found), place, case))
        seen[case.cluster] += 1
    return tuple(case for *_, case in sorted(ranked, key=lambda item: item[:3]))[:CASES]
