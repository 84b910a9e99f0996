"""What a gate says of bad input: no row answered, scores that are no numbers, metrics and baselines that do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import error_of

JUDGES = """\
def length(label):
    return len(label)


def undefined(label):
    return float("nan")


def sometimes(label):
    return float("nan") if label == "ham" else 1.0


def raises(label):
    raise ValueError("no judgement")


def says(label):
    return "good"


def nothing(label):
    return None
"""


@pytest.fixture
def judged(project: Any, call: Any) -> Any:
    """Run the experiment with one evaluator of `judges.py`, and return the rules of a gate on its metric."""
    project.write("judges.py", JUDGES)

    def run(name: str, gate: str) -> tuple[int, list[dict[str, Any]]]:
        text = (project.root / "experiment.yaml").read_text().partition("evaluators:")[0]
        entry = f"evaluators:\n  - {{use: 'judges.py:{name}', column_mapping: {{label: '${{run.outputs.label}}'}}}}\n"
        project.write("experiment.yaml", f"{text}{entry}resamples: 400\ngate:\n  variant: zero\n{gate}")
        call("run", "experiment.yaml")
        result = call("gate", "experiment.yaml", "--json")
        assert result.exception is None, result.exception
        return result.return_value, json.loads(result.stdout)["rules"]

    return run


@pytest.mark.parametrize(
    ("name", "state"), [("undefined", "error"), ("raises", "error"), ("says", "error"), ("nothing", "abstained")]
)
def test_scores_that_are_no_numbers_never_become_a_figure(judged: Any, name: str, state: str) -> None:
    code, rules = judged(name, f"  failed_rows: 0\n  metrics: {{{name}: {{at_least: 0.5}}}}\n")
    assert code == 4
    limit = rules[0]
    assert limit["outcome"] == "inconclusive"
    assert limit["estimate"]["value"] is None
    assert limit["estimate"]["excluded"] == {state: 40}
    assert f"40 {state}" in limit["reason"]


def test_a_figure_says_how_many_scores_it_leaves_out(judged: Any) -> None:
    code, rules = judged("sometimes", "  min_rows: 5\n  metrics: {sometimes: {at_least: 0.5}}\n")
    assert rules[0]["estimate"]["value"] == 1.0
    assert rules[0]["estimate"]["excluded"] == {"error": 30}
    assert "left out: 30 error" in rules[0]["reason"]
    assert code in {0, 4}


def test_when_every_row_failed_nothing_passes(project: Any, gated: Any, call: Any) -> None:
    project.data([(f"boom {number}", "spam") for number in range(40)])
    gated("variant: zero\nfailed_rows: 40\nmetrics: {accuracy: {at_least: 0.5}}\nbudget: {latency_p95: 10}")
    assert call("run", "experiment.yaml").return_value == 1
    result = call("gate", "experiment.yaml", "--json")
    rules = {rule["name"]: rule for rule in json.loads(result.stdout)["rules"]}
    assert result.return_value == 1
    accuracy = rules["accuracy at least 0.5"]
    # Rows without an answer count as wrong, and the figure says so.
    assert (accuracy["outcome"], accuracy["estimate"]["value"]) == ("fail", 0.0)
    assert accuracy["estimate"]["counted"] == {"failed": 40}
    assert rules["budget: latency_p95 at most 10 s"]["outcome"] == "inconclusive"
    gated("variant: zero\nbudget: {latency_p95: 10}")
    assert call("gate", "experiment.yaml").return_value == 4


def test_all_failed_against_a_good_baseline_is_a_regression(project: Any, gated: Any, call: Any) -> None:
    gated("variant: few\nregressions: {accuracy: {margin: 0.1}}")
    call("run", "experiment.yaml")
    call("bless", "sms", "--variant", "few")
    project.edit("flows/sms/few.jinja2", "few:", "boom:")
    call("run", "experiment.yaml", "--no-cache")
    result = call("gate", "experiment.yaml", "--json")
    assert result.return_value == 1
    rule = json.loads(result.stdout)["rules"][0]
    assert rule["comparison"]["difference"]["counted"], rule


def test_a_metric_that_nothing_gives_and_a_baseline_without_it(project: Any, gated: Any, call: Any) -> None:
    gated("variant: few\nregressions: {length: {margin: 1}}")
    assert "no evaluator gives a metric 'length'" in error_of(call("run", "experiment.yaml"))
    gated("variant: few\nfailed_rows: 0")
    call("run", "experiment.yaml")
    call("bless", "sms", "--variant", "few")
    text = (project.root / "experiment.yaml").read_text().partition("primary:")
    more = "  - {use: 'judges.py:length', column_mapping: {label: '${run.outputs.label}'}}\n"
    rest = text[2].partition("gate:")[0]
    project.write(
        "experiment.yaml",
        f"{text[0]}{more}primary:{rest}gate: {{variant: few, regressions: {{length: {{margin: 1}}}}}}\n",
    )
    call("run", "experiment.yaml")
    result = call("gate", "experiment.yaml", "--json")
    assert result.return_value == 4
    assert "the baseline has no scores of the evaluator 'length'" in json.loads(result.stdout)["rules"][0]["reason"]
