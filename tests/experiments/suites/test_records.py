"""Suite runs as records: shown again, compared with one another, judged by a gate; no false alarm from chance."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import Conflict, NotFound
from pilothouse.evaluation.suites.contrast import contrast_rows
from pilothouse.evaluation.suites.table import suite_named
from pilothouse.evaluation.suites.types import Answered, Check, Measure, Prompt, Suite
from pilothouse.evaluation.types import Procedure, Score
from pilothouse.experiments.gates.types import Snapshot
from pilothouse.experiments.suites.commands import suite
from pilothouse.experiments.suites.records import compared


@pytest.fixture
def call(services: Any, flow: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(services.root)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(suite, list(arguments), obj=services, standalone_mode=False)

    def asked(name: str, run_name: str, *more: str) -> Result:
        words = ("run", name, "--flow", flow, "--input", "question", "--output", "output", "--name", run_name)
        return run(*words, *more)

    run.asked = asked  # type: ignore[attr-defined]
    return run


def test_a_run_is_listed_shown_again_and_has_a_page(call: Any, services: Any) -> None:
    assert call("runs").stdout.startswith("no suite was run yet")
    assert call.asked("pii", "good").return_value == 0
    canary = ("--canary", "heron-lantern-52")
    bad = call.asked("jailbreak", "bad", "--set", "mode=bad", *canary)
    assert bad.return_value == 1
    listed = json.loads(call("runs", "--json").stdout)
    assert {item["run"]: item["report"]["outcome"] for item in listed} == {"good": "pass", "bad": "fail"}
    assert "code told" in call("runs").stdout
    shown = call("show", "bad").stdout
    assert "Suite jailbreak: fail, 20 rows" in shown
    assert shown.splitlines()[-1] == "report: reports/suites/bad.html"
    kept = json.loads(call("show", "bad", "--json").stdout)
    assert (kept["canaries"], kept["request"]["canaries"]) == (1, [])
    assert "heron" not in json.dumps(kept)
    page = (services.root / "reports/suites/bad.html").read_text()
    assert "Suite jailbreak" in page
    assert page.count("<details") == 20
    assert "wrong alarms" in page
    assert "0 of 100" in page
    assert "Of course:" in page
    assert "http" not in page.split("<main>")[1].split("</main>")[0]


def test_a_page_shows_hostile_answers_as_text(call: Any, services: Any) -> None:
    code = services.root / "flows" / "qa" / "flow.py"
    code.write_text(code.read_text().replace("Of course: ", "<script>alert(1)</script> "))
    call.asked("jailbreak", "bad", "--set", "mode=bad")
    page = (services.root / "reports/suites/bad.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize("name", ["bias", "style", "jailbreak", "robustness"])
def test_a_worse_flow_is_found_and_a_copy_is_none(call: Any, name: str) -> None:
    call.asked(name, "old")
    call.asked(name, "same")
    call.asked(name, "worse", "--set", "mode=bad")
    same = call("compare", "old", "same", "--json")
    assert same.return_value == 0, same.stdout
    assert {rule["outcome"] for rule in json.loads(same.stdout)} == {"pass"}
    worse = call("compare", "old", "worse", "--json")
    assert worse.return_value == 1
    failed = [rule for rule in json.loads(worse.stdout) if rule["outcome"] == "fail"]
    assert failed
    assert all("is a loss of more than 0.2" in rule["reason"] or "in every pair" in rule["reason"] for rule in failed)
    better = call("compare", "worse", "old")
    assert better.return_value == 0, better.stdout


def test_the_gate_of_a_run_writes_what_a_ci_server_reads(call: Any, services: Any) -> None:
    call.asked("pii", "old")
    call.asked("pii", "worse", "--set", "mode=bad")
    good = call("gate", "old", "--markdown", "gate.md")
    assert good.return_value == 0
    assert Path("gate.md").read_text().startswith("## The gate passes: suite pii")
    bad = call("gate", "worse", "--baseline", "old", "--junit", "gate.xml")
    assert bad.return_value == 1
    assert "The gate FAILS: suite pii (flows/qa) against old" in bad.stdout
    lost = json.loads(call("compare", "old", "worse", "--json").stdout)[0]
    assert lost["rows"][0] == "bakery-summary#0"
    assert lost["comparison"]["difference"]["excluded"] == {}
    cases = [case.get("name") for case in ET.parse("gate.xml").getroot().iter("testcase")]
    assert "told when asked: at most 0.2" in cases
    assert "told when asked against the baseline, margin 0.2" in cases
    call.asked("pii", "broken", "--set", "mode=broken")
    none = call("gate", "broken")
    assert none.return_value == 4
    assert "40 of 40 rows have none" in " ".join(none.stdout.split())


def test_what_cannot_be_compared_is_said(call: Any) -> None:
    call.asked("pii", "one")
    call.asked("pii", "two", "--seed", "8", "--set", "mode=bad")
    call.asked("refusal", "three")
    for other in ("two", "three"):
        result = call("compare", "one", other)
        assert isinstance(result.exception, Conflict)
        assert "are not over the same rows" in str(result.exception)
    assert isinstance(call("gate", "nobody").exception, NotFound)


def _runs(seed: int) -> tuple[Suite, tuple[Snapshot, Snapshot]]:
    """Return two runs of one flow: its templates differ, and nothing else does."""
    drawn = random.Random(seed)
    prompts = tuple(
        Prompt(id=f"r{n}", question="?", cluster=f"t{n // 2}", check=Check(kind="plain")) for n in range(40)
    )
    hard = {f"t{n}": drawn.betavariate(1, 3) for n in range(20)}
    measures = tuple(Measure(name=name, score=name) for name in ("first", "second", "third"))

    def side(name: str) -> Snapshot:
        answered = [
            Answered(
                prompt=prompt,
                answer="",
                scores=tuple(Score(name=m.score, value=drawn.random() < hard[prompt.cluster]) for m in measures),
            )
            for prompt in prompts
        ]
        asked = Suite(name="s", about="", prompts=lambda _: prompts, measures=measures)
        rows = contrast_rows(asked, answered)
        return Snapshot(
            experiment="suite s", variant=name, run=name, data="", source="", repeats=1,
            evaluators={"suite": "1", "checks": "1"}, contents={}, rows=rows,
        )  # fmt: skip

    return Suite(name="s", about="", prompts=lambda _: prompts, measures=measures), (side("a"), side("b"))


def test_chance_fails_a_comparison_no_more_often_than_alpha() -> None:
    trials, how = 120, Procedure(resamples=300)
    failed = 0
    for seed in range(trials):
        asked, sides = _runs(seed)
        failed += any(rule.outcome == "fail" for rule in compared(asked, sides, 0.0, how))
    # Of 120 at 5 %, more than 12 come in one of a hundred cases.
    assert failed <= 12


def test_suites_of_the_house_have_enough_templates_to_be_compared() -> None:
    from pilothouse.evaluation.suites.table import SUITES
    from pilothouse.experiments.suites.records import FEWEST_TEMPLATES

    for name in SUITES:
        found = suite_named(name).prompts(7)
        assert len({prompt.cluster for prompt in found}) >= FEWEST_TEMPLATES
