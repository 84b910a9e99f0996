"""The gate of a real experiment, by the command line: outcomes, exit codes, baselines, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import error_of

REGRESSION = "variant: few\nregressions: {accuracy: {margin: 0.1}}\n"


def decided(result: Any) -> dict[str, Any]:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


@pytest.fixture
def ran(project: Any, gated: Any, call: Any) -> Any:
    """The experiment was run with 160 rows: `few` is right in all of them, `zero` in 3 of 4."""
    texts = [("hello friend", "ham"), ("a prize for you", "spam"), ("tricky offer", "spam"), ("odd remark", "ham")]
    project.data([(f"{text} {number}", label) for number in range(40) for text, label in texts])
    gated("variant: few\nmetrics: {accuracy: {at_least: 0.8}}")
    assert call("run", "experiment.yaml").exception is None
    return project


def test_a_gate_passes_fails_or_cannot_tell_and_ends_accordingly(ran: Any, gated: Any, call: Any) -> None:
    passed = call("gate", "experiment.yaml")
    assert (passed.exception, passed.return_value) == (None, 0)
    assert "The gate passes: sms:1 (few): 1 pass" in passed.stdout
    gated("variant: zero\nmetrics: {accuracy: {at_least: 0.9}}")
    failed = call("gate", "experiment.yaml")
    assert failed.return_value == 1
    said = " ".join(failed.stdout.split())
    assert "accuracy at least 0.9" in said
    assert "rows 2, 6, 10," in said
    assert "and 34 more" in said
    gated("variant: zero\nmetrics: {accuracy: {at_least: 0.76}}")
    open_ = call("gate", "experiment.yaml")
    assert open_.return_value == 4
    assert "INCONCLUSIVE" in open_.stdout
    assert call("gate", "experiment.yaml", "--inconclusive", "pass").return_value == 0
    assert call("gate", "experiment.yaml", "--inconclusive", "fail").return_value == 1


def test_the_gate_of_a_number_is_the_one_of_its_last_run_and_a_file_the_one_written_now(
    ran: Any, gated: Any, call: Any
) -> None:
    gated("variant: zero\nmetrics: {accuracy: {at_least: 0.9}}")
    assert call("gate", "sms:1").return_value == 0
    assert call("gate", "experiment.yaml").return_value == 1
    assert ran.calls() == 480


def test_on_value_decides_without_an_interval(ran: Any, gated: Any, call: Any) -> None:
    gated("variant: zero\nmetrics: {accuracy: {at_least: 0.74, on: value}}")
    assert call("gate", "experiment.yaml").return_value == 0
    gated("variant: zero\nmetrics: {accuracy: {at_least: 0.76, on: value}}")
    assert call("gate", "experiment.yaml").return_value == 1


def test_too_few_rows_are_inconclusive_whatever_they_say(ran: Any, gated: Any, call: Any) -> None:
    gated("variant: zero\nmin_rows: 500\nmetrics: {accuracy: {at_least: 0.99}, latency_p95: {at_most: 100}}")
    result = call("gate", "experiment.yaml", "--json")
    assert result.return_value == 4
    assert [rule["outcome"] for rule in decided(result)["rules"]] == ["inconclusive"] * 2
    assert decided(result)["rules"][0]["reason"] == "only 160 rows, and the gate asks for 500"


def test_noise_passes_and_a_planted_regression_fails_with_its_rows(ran: Any, gated: Any, call: Any) -> None:
    gated(REGRESSION)
    blessed = call("bless", "sms:1", "--variant", "few")
    assert "sms@main is baseline/sms:1: sms:1 (few), 160 rows" in blessed.stdout
    assert call("gate", "experiment.yaml").return_value == 0
    assert call("run", "experiment.yaml", "--no-cache").exception is None
    assert call("gate", "experiment.yaml").return_value == 0
    ran.edit("flows/sms/few.jinja2", "few:", "strict:")
    assert call("run", "experiment.yaml").exception is None
    result = call("gate", "experiment.yaml", "--json")
    assert result.return_value == 1
    rule = decided(result)["rules"][0]
    assert "is a loss of more than 0.1 (McNemar exact, p < 0.001)" in rule["reason"]
    assert rule["rows"][:3] == ["103", "107", "11"]
    assert rule["row_count"] == 40
    assert decided(result)["baseline"] == "sms:1 (few)"


def test_a_blessed_baseline_never_changes_and_its_alias_moves(ran: Any, gated: Any, call: Any) -> None:
    gated(REGRESSION)
    first = call("bless", "sms", "--variant", "few").stdout
    assert call("bless", "sms", "--variant", "few").stdout == first
    assert "baseline/sms:2" in call("bless", "sms", "--variant", "zero").stdout
    better = decided(call("gate", "experiment.yaml", "--json"))
    assert better["baseline"] == "sms:1 (zero)"
    assert decided(call("gate", "experiment.yaml", "--baseline", "1", "--json"))["baseline"] == "sms:1 (few)"
    wanted = "there is no baseline 'sms@mian'"
    assert wanted in error_of(call("gate", "experiment.yaml", "--baseline", "mian"))


def test_a_baseline_in_a_file_serves_a_fresh_checkout(ran: Any, gated: Any, call: Any) -> None:
    gated(f"baseline: kept/sms.json\n{REGRESSION}")
    missing = error_of(call("gate", "experiment.yaml"))
    assert "cannot be read" in missing
    assert "pilothouse experiment bless" in missing
    assert call("bless", "sms:1", "--variant", "few", "--file", "kept/sms.json").exception is None
    assert call("gate", "experiment.yaml").return_value == 0
    ran.write("kept/sms.json", (ran.root / "kept/sms.json").read_text()[:-300])
    assert "this is no baseline" in error_of(call("gate", "experiment.yaml"))
    ran.write("kept/sms.json", "\n".join((ran.root / "kept/sms.json").read_text().splitlines()[:20]) + "\n")
    assert "has 19 of its 160 rows" in error_of(call("gate", "experiment.yaml"))


def test_a_baseline_over_other_data_is_refused_unless_common_rows_are_asked_for(
    ran: Any, gated: Any, call: Any
) -> None:
    gated(REGRESSION)
    call("bless", "sms", "--variant", "few")
    lines = (ran.root / "data/sms.csv").read_text().splitlines()
    ran.write("data/sms.csv", "\n".join([*lines[:101], "another hello,ham", *lines[102:]]) + "\n")
    assert call("run", "experiment.yaml").exception is None
    refused = error_of(call("gate", "experiment.yaml"))
    assert "was blessed over other data" in refused
    assert "compare the 159 rows that both have with --common-rows" in refused
    result = call("gate", "experiment.yaml", "--common-rows", "--json")
    assert result.return_value == 0
    assert decided(result)["rules"][0]["comparison"]["n_pairs"] == 159
    assert decided(result)["notes"][0].startswith("OTHER DATA: only the 159 rows")


def test_a_changed_evaluator_is_no_measure_against_the_old_one(ran: Any, gated: Any, call: Any) -> None:
    gated(REGRESSION)
    call("bless", "sms", "--variant", "few")
    ran.edit("experiment.yaml", "use: classification", "use: classification\n    options: {ignore_case: true}")
    assert call("run", "experiment.yaml").exception is None
    result = call("gate", "experiment.yaml", "--json")
    assert result.return_value == 4
    assert "the evaluator 'label' has changed since" in decided(result)["rules"][0]["reason"]


def test_rows_that_turned_wrong_and_rows_that_must_pass(ran: Any, gated: Any, call: Any) -> None:
    call("bless", "sms", "--variant", "few")
    gated("variant: zero\nflips: {}\nmust_pass: {ids: [1, 2, 3]}")
    result = call("gate", "experiment.yaml", "--json")
    flips, must = decided(result)["rules"]
    assert (flips["outcome"], flips["row_count"], flips["rows"][:2]) == ("fail", 40, ["2", "6"])
    assert "which chance does not explain" in flips["reason"]
    assert (must["outcome"], must["rows"], must["figure"]) == ("fail", ["2"], "2 of 3")
    gated("variant: zero\nflips: {at_most: 40}\nmust_pass: {where: {label: ham}}")
    assert call("gate", "experiment.yaml").return_value == 0
    gated("variant: zero\nmust_pass: {ids: [1, 999]}")
    result = call("gate", "experiment.yaml", "--json")
    assert (result.return_value, decided(result)["rules"][0]["reason"]) == (4, "1 row not in the run")
    gated("variant: zero\nmust_pass: {where: {label: bacon}}")
    assert decided(call("gate", "experiment.yaml", "--json"))["rules"][0]["outcome"] == "inconclusive"
    gated("variant: zero\nmust_pass: {where: {lable: ham}}")
    assert "did you mean 'label'?" in error_of(call("gate", "experiment.yaml"))


def test_budgets_and_failed_rows(project: Any, gated: Any, call: Any) -> None:
    project.data([("boom", "spam"), *[(f"hello {number}", "ham") for number in range(39)]])
    gated("variant: zero\nfailed_rows: 0\nbudget: {cost: 0.5, tokens: 1, latency_p50: 60}")
    assert call("run", "experiment.yaml").return_value == 1
    result = call("gate", "experiment.yaml", "--json")
    rules = {rule["name"]: rule for rule in decided(result)["rules"]}
    assert rules["failed rows: at most 0"]["outcome"] == "fail"
    assert rules["failed rows: at most 0"]["rows"] == ["0"]
    assert rules["budget: tokens at most 1"]["outcome"] == "fail"
    assert rules["budget: latency_p50 at most 60 s"]["outcome"] == "pass"
    cost = rules["budget: cost at most $0.50"]
    assert cost["outcome"] == "inconclusive"
    assert "the price of 39 calls is not known" in cost["reason"]


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("variant: few", "the gate has no rule"),
        ("variant: best\nfailed_rows: 0", "the gate judges the variant 'best'"),
        ("metrics: {accuracy: {}}", "the limit is missing"),
        ("metrics: {accuracy: {at_least: 0.9, at_most: 0.1}}", "nothing is at least 0.9 and at most 0.1"),
        ("metrics: {accurcy: {at_least: 0.9}}", "no evaluator gives a metric 'accurcy'"),
        ("budget: {money: 3}", "there is no budget 'money'"),
        ("regressions: {accuracy: {margin: -1}}", "margin"),
        ("must_pass: {}", "must_pass names no row"),
        ("flips: {atmost: 3}", "unknown key 'atmost'"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_before_anything_runs(
    project: Any, gated: Any, call: Any, gate: str, said: str
) -> None:
    gated(gate)
    message = error_of(call("run", "experiment.yaml"))
    assert said in message
    assert "experiment.yaml:" in message
    assert project.calls() == 0


def test_what_is_missing_is_said(project: Any, gated: Any, call: Any) -> None:
    gated("failed_rows: 0")
    assert "has not been run as its file says now" in error_of(call("gate", "experiment.yaml"))
    call("run", "experiment.yaml")
    assert "has 3 variants, and nothing says which one is meant" in error_of(call("gate", "sms"))
    assert "no variant 'fwe'" in error_of(call("gate", "sms", "--variant", "fwe"))
    gated("variant: few\nflips: {metric: macro_f1}")
    assert "there is no baseline 'sms@main'" in error_of(call("gate", "experiment.yaml"))
    gated("variant: few\nmetrics: {latency_p0: {at_most: 3}}")
    assert "no evaluator gives a metric 'latency_p0'" in error_of(call("gate", "experiment.yaml"))


def test_an_experiment_without_a_gate_is_a_mistake(project: Any, call: Any) -> None:
    call("run", "experiment.yaml")
    assert "the experiment 'sms:1' has no gate" in error_of(call("gate", "sms"))


def test_repeated_rows_are_judged_line_by_line(project: Any, gated: Any, call: Any) -> None:
    project.edit("experiment.yaml", "concurrency: 4", "concurrency: 4\nrepeats: 2")
    text = (project.root / "experiment.yaml").read_text()
    rules = "variant: zero\n  flips: {}\n  must_pass: {ids: [2]}\n  metrics: {accuracy: {at_least: 0.5}}\n"
    project.write("experiment.yaml", f"{text}gate:\n  {rules}")
    call("run", "experiment.yaml")
    call("bless", "sms", "--variant", "few")
    result = call("gate", "experiment.yaml", "--json")
    limit, flips, must = decided(result)["rules"]
    assert (flips["row_count"], must["outcome"], limit["estimate"]["clusters"]) == (10, "fail", 40)
