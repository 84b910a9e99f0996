"""What a gate writes for machines and people: JUnit, Markdown; hostile texts stay texts."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pilothouse.experiments.gates.junit import junit
from pilothouse.experiments.gates.markdown import markdown
from pilothouse.experiments.gates.types import Decision, Outcome, RuleResult

HOSTILE = "a|b <script>`x`\n](http://x) \x00\x1b ]]> &amp; @team \ud800"

DECISION = Decision(
    experiment="sms:3",
    variant="few",
    run="sms-few-1",
    baseline="sms:1 (few)",
    outcome="fail",
    rules=(
        RuleResult(name="accuracy at least 0.8", outcome="pass", reason="it is", figure="0.91 [0.85, 0.95]"),
        RuleResult(name="flips", outcome="inconclusive", reason="chance", rows=("7",), row_count=1),
        RuleResult(name="must pass", outcome="fail", reason=HOSTILE, rows=(HOSTILE, "2"), row_count=30),
    ),
    alpha=0.05,
    notes=("OTHER DATA",),
    report="reports/sms/3",
    counts={"pass": 1, "fail": 1, "inconclusive": 1},
)


@pytest.mark.parametrize(("policy", "tag"), [("inconclusive", "error"), ("pass", "skipped"), ("fail", "failure")])
def test_junit_is_valid_and_has_one_test_a_rule(policy: Outcome, tag: str) -> None:
    root = ET.fromstring(junit(DECISION, policy))
    (suite,) = root
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["accuracy at least 0.8", "flips", "must pass"]
    assert [child.tag for case in cases for child in case] == ["system-out", tag, "failure"]
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(name) == root.get(name) == str(len(suite.findall(f"testcase/{element}")))
    failure = cases[2].find("failure")
    assert failure is not None
    assert "<script>" in (failure.text or "")
    assert "and 28 more" in (failure.text or "")


def test_markdown_says_the_verdict_first_and_shows_hostile_texts_as_texts() -> None:
    lines = markdown(DECISION, "https://ci.example/r?a=1>b").splitlines()
    said = "## The gate FAILS: sms:3 \\(few\\) against sms:1 \\(few\\): 1 fail, 1 inconclusive, 1 pass"
    assert lines[0] == said
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == ["**fail**", "**inconclusive**", "pass"]
    text = "\n".join(lines)
    assert "<script>" not in text
    assert "](http://x)" not in text
    assert " @team" not in text
    assert "a\\|b" in text
    assert "and 28 more" in text
    assert "[report](<https://ci.example/r?a=1%3Eb>)" in lines[-1]
    assert "report: reports/sms/3" in markdown(DECISION)
