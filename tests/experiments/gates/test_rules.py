"""Rules over rows made by hand: what passes, fails or stays open, and why."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from pilothouse.core.errors import ConfigError, Conflict, NotFound, UserError
from pilothouse.experiments.gates.baselines import aligned, decode, encode
from pilothouse.experiments.gates.decide import decide
from pilothouse.experiments.gates.types import Candidate, RuleResult, Snapshot, Spent
from pilothouse.experiments.rules import Flips, Gate, Limit, Margin, MustPass

from .simulations import METRICS, QUICK, judged, snapshot


def only(gate: Gate, now: Snapshot, before: Snapshot | None = None) -> RuleResult:
    (rule,) = judged(gate, now, before).rules
    return rule


def rights(text: str, repeats: int = 1) -> Snapshot:
    return snapshot(repeats, right=[letter == "1" for letter in text])


def test_a_range_is_a_target_that_may_be_missed_on_either_side() -> None:
    gate = Gate(metrics={"level": Limit(at_least=0.4, at_most=0.6)})
    assert only(gate, snapshot(level=[0.45, 0.55] * 50)).outcome == "pass"
    assert only(gate, snapshot(level=[0.85, 0.95] * 50)).outcome == "fail"
    assert only(gate, snapshot(level=[0.55, 0.64] * 50)).outcome == "inconclusive"


def test_a_figure_without_spread_is_taken_as_it_stands_when_rows_are_many() -> None:
    gate = Gate(metrics={"level": Limit(at_least=0.5)}, min_rows=2)
    assert only(gate, snapshot(level=[0.7] * 20)).outcome == "pass"
    assert only(gate, snapshot(level=[0.3] * 20)).outcome == "fail"
    assert only(gate, snapshot(level=[0.7] * 19)).outcome == "inconclusive"


def test_a_quantile_of_few_rows_has_no_interval() -> None:
    rule = only(Gate(budget={"latency_p95": 9.0}), snapshot(latency=[0.1 * i for i in range(40)]))
    assert (rule.outcome, rule.reason) == ("inconclusive", "an interval needs 72 rows")


def test_lower_is_better_turns_the_margin_round() -> None:
    gate = Gate(regressions={"latency_p50": Margin(margin=0.1)})
    before = snapshot(latency=[1.0 + i / 100 for i in range(100)])
    slower = snapshot(latency=[2.0 + i / 100 for i in range(100)])
    assert only(gate, slower, before).outcome == "fail"
    assert only(gate, before, slower).outcome == "pass"
    assert only(gate, before, before).outcome == "pass"


def test_a_copy_passes_and_a_copy_of_few_rows_does_not() -> None:
    gate = Gate(regressions={"level": Margin(margin=0.01)}, min_rows=5)
    many, few = (snapshot(level=[i / n for i in range(n)]) for n in (40, 10))
    assert only(gate, many, many).outcome == "pass"
    assert only(gate, few, few).outcome == "inconclusive"


def test_an_open_comparison_says_how_many_rows_would_tell() -> None:
    text = "1" * 90 + "0" * 10
    rule = only(Gate(regressions={"right": Margin(margin=0.02)}), rights(text), rights(text))
    assert rule.outcome == "inconclusive"
    assert "holds a loss of more than 0.02; about" in rule.reason
    needed = int(rule.reason.split("about ")[1].split(" rows")[0].replace(",", ""))
    assert 150 < needed < 400
    more = text * (needed // 100 + 1)
    assert only(Gate(regressions={"right": Margin(margin=0.02)}), rights(more), rights(more)).outcome == "pass"


def test_a_loss_within_the_margin_does_not_fail_though_it_is_significant() -> None:
    before, now = rights("1" * 500), rights("1" * 485 + "0" * 15)
    assert only(Gate(regressions={"right": Margin(margin=0.1)}), now, before).outcome == "pass"
    open_ = only(Gate(regressions={"right": Margin(margin=0.03)}), now, before)
    assert open_.outcome == "inconclusive"
    assert "(it is worse, by 0.03)" in open_.reason
    assert only(Gate(regressions={"right": Margin(margin=0.005)}), now, before).outcome == "fail"


def test_holm_asks_more_of_one_comparison_among_many() -> None:
    alone = Gate(regressions={"right": Margin(margin=0.0)})
    together = Gate(regressions={name: Margin(margin=0.0) for name in ("right", "full", "level")})
    same = [bool(i % 2) for i in range(60)]
    level = [i / 60 for i in range(60)]
    before = snapshot(right=[True] * 60, full=same, level=level)
    now = snapshot(right=[False] * 6 + [True] * 54, full=same, level=level)
    assert only(alone, now, before).outcome == "fail"
    assert judged(together, now, before).rules[0].outcome == "inconclusive"
    worse = structs.replace(now, rows=snapshot(right=[False] * 30 + [True] * 30, full=same, level=level).rows)
    assert judged(together, worse, before).rules[0].outcome == "fail"


@pytest.mark.parametrize(
    ("lost", "gained", "on", "outcome"),
    [(0, 0, "bound", "pass"), (1, 0, "bound", "inconclusive"), (1, 0, "value", "fail"), (4, 4, "bound", "inconclusive"),
     (5, 0, "bound", "fail"), (8, 1, "bound", "fail"), (8, 8, "value", "fail")],
)  # fmt: skip
def test_flips_fail_when_chance_does_not_explain_them(lost: int, gained: int, on: str, outcome: str) -> None:
    rest = 40 - lost - gained
    before, now = rights("1" * (lost + rest) + "0" * gained), rights("0" * lost + "1" * (rest + gained))
    rule = only(Gate(flips=Flips(metric="right", on=on)), now, before)  # type: ignore[arg-type]
    assert (rule.outcome, rule.row_count) == (outcome, lost)


def test_a_repeated_row_flips_when_most_of_its_repetitions_do() -> None:
    gate = Gate(flips=Flips(metric="right", on="value"), min_rows=2)
    before = rights("111" + "110" + "111", repeats=3)
    assert only(gate, rights("011" + "000" + "111", repeats=3), before).outcome == "pass"
    rule = only(gate, rights("001" + "000" + "111", repeats=3), before)
    assert (rule.outcome, rule.rows) == ("fail", ("r0000",))


def test_must_pass_takes_a_threshold_where_nothing_is_right_or_wrong() -> None:
    arm = snapshot(level=[0.9, 0.4, 0.8])
    candidate = Candidate(snapshot=arm, metrics=METRICS, spent=Spent(rows=3, failed=0), must_pass=("r0000", "r0001"))
    rule = MustPass(ids=("r0000",), metric="level", at_least=0.5)
    (found,) = decide(Gate(must_pass=rule), candidate, None, QUICK).rules
    assert (found.outcome, found.rows) == ("fail", ("r0001",))
    with pytest.raises(UserError, match="'level' does not say so"):
        decide(Gate(must_pass=structs.replace(rule, at_least=None)), candidate, None, QUICK)


def test_a_known_cost_is_judged_and_an_unknown_one_is_not_taken_for_nothing() -> None:
    arm = rights("1")

    def outcome(cost: str | None, unpriced: int) -> str:
        spent = Spent(rows=1, failed=0, cost=None if cost is None else Decimal(cost), unpriced=unpriced)
        candidate = Candidate(snapshot=arm, metrics=METRICS, spent=spent)
        return decide(Gate(budget={"cost": 0.1}), candidate, None, QUICK).rules[0].outcome

    assert [outcome("0.1", 0), outcome("0.11", 0), outcome("0.11", 5), outcome("0.01", 5), outcome(None, 0)] == [
        "pass", "fail", "fail", "inconclusive", "pass",
    ]  # fmt: skip


def test_an_unknown_metric_is_named_with_its_nearest() -> None:
    with pytest.raises(NotFound, match="rihgt"):
        judged(Gate(metrics={"rihgt": Limit(at_least=1)}), rights("1"))


def test_a_snapshot_comes_back_from_its_lines() -> None:
    made = snapshot(right=[True, False], level=[0.1, 1e-300])
    assert decode(encode(made), "here") == made
    for broken in (b"", b"{}\n", encode(made).replace(b'"format":1', b'"format":9'), b"\xff\xfe", encode(made)[:-9]):
        with pytest.raises(ConfigError):
            decode(broken, "here")


def test_rows_of_one_id_with_other_content_are_not_the_same_row() -> None:
    before = rights("1111")
    moved = structs.replace(before, data="other", contents={**before.contents, "r0002": "x"})
    with pytest.raises(Conflict, match="other data"):
        aligned(before, moved, common_rows=False)
    (first, second), notes = aligned(before, moved, common_rows=True)
    assert [row.id for row in first.rows] == [row.id for row in second.rows] == ["r0000", "r0001", "r0003"]
    assert "only the 3 rows that both have" in notes[0]
    with pytest.raises(Conflict, match="no row in common"):
        aligned(before, structs.replace(moved, contents=dict.fromkeys(before.contents, "y")), common_rows=True)
    other_inputs = structs.replace(before, contents=dict.fromkeys(before.contents, "y"))
    assert aligned(before, other_inputs, common_rows=False) == ((before, other_inputs), [])
    with pytest.raises(Conflict, match="ran every row 1 times"):
        aligned(before, structs.replace(before, repeats=3), common_rows=True)
