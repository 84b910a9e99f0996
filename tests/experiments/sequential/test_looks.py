"""Sequential experiments from end to end: what they decide, what they spare, what they never ask twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pilothouse.core.errors import Conflict, Interrupted
from pilothouse.evaluation.sequential.types import LooksReport
from pilothouse.evaluation.statistics.sequential import BettingSequence, decide
from pilothouse.experiments.arms import ExperimentProgress
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.gates.service import GateService
from pilothouse.experiments.runs.engine.sampling import places_of
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RowSample

TEXTS = [("hello friend", "ham"), ("a prize for you", "spam"), ("tricky offer", "spam"), ("odd remark", "ham")]
RULE = "sequential: {look_every: 30, max_rows: 120}\n"
JUDGE = "  - {use: judges.py:score, column_mapping: {label: '${run.outputs.label}'}}\n"


def texts(rows: int) -> list[tuple[str, str]]:
    return [(f"{TEXTS[n % 4][0]} {n}", TEXTS[n % 4][1]) for n in range(rows)]


@pytest.fixture
def early(project: Any) -> Any:
    """`few` is right where `zero` fails; `strict` fails as often as `zero`, elsewhere; 160 rows."""
    project.data(texts(160))
    project.edit("experiment.yaml", "resamples: 400\n", f"resamples: 100\n{RULE}")
    return project


def looks_of(finding: Any) -> LooksReport:
    found = finding.comparison.looks
    assert found is not None
    return found


def test_arms_that_are_decided_get_no_more_rows_and_the_others_go_on(early: Any) -> None:
    finding = early.run()
    found, looks = finding.comparison, looks_of(finding)
    few, strict = looks.arms
    assert (few.last.decision, strict.last.decision) == ("better", "open")
    assert few.last.size < strict.last.size == looks.used == looks.most == 120
    assert [look.size for look in strict.looks] == [30, 60, 90, 120]
    assert early.calls() == 120 + few.last.size + 120
    assert {arm.name: arm.rows for arm in found.arms} == {"zero": 120, "few": few.last.size, "strict": 120}
    better, open_one = found.comparisons
    assert (better.verdict, better.test) == ("better", "betting confidence sequence, anytime-valid")
    assert (better.difference.interval, better.difference.value) == (few.last.interval, few.last.value)
    assert (better.p_value, better.correction) == (few.last.p_value, "bonferroni, 2 comparisons")
    assert better.p_adjusted == pytest.approx(2 * (few.last.p_value or 0.0))
    assert (open_one.verdict, found.outcome, found.best) == ("inconclusive", "better", "few")
    assert f"few stopped early at {few.last.size} of 160 rows" in found.verdict
    assert "strict was not decided by 120 of 160 rows, as many as `max_rows` allows" in found.verdict
    assert any("Other metrics are not compared" in note for note in found.notes)
    assert {item.metric for item in found.comparisons} == {"accuracy"}


def test_the_decisions_are_those_of_the_pure_sequence_over_the_drawn_rows(early: Any) -> None:
    looks = looks_of(early.run())
    by_kind = [(0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, -1.0)]  # less `zero`, which is wrong on tricky rows
    data = early.experiments._preparer.prepare(early.file).data
    for place, arm in enumerate(looks.arms):
        sequence = BettingSequence(level=1 - 0.05 / 2)
        drawn = 0
        for look in arm.looks:
            order = places_of(data, RowSample(size=look.size, seed=7))
            rows = sorted(order, key=lambda number: order[number])
            sequence.add(np.array([by_kind[number % 4][place] for number in rows[drawn:]]))
            drawn = look.size
            interval = sequence.interval()
            assert (look.interval, look.value, look.n) == (interval, sequence.value, look.size)
            assert look.decision == decide(interval)


def test_the_same_command_again_asks_nothing_and_says_the_same(early: Any) -> None:
    first = early.run()
    calls = early.calls()
    again = early.run()
    assert early.calls() == calls
    assert looks_of(again) == looks_of(first)
    assert again.comparison.comparisons == first.comparison.comparisons
    assert (again.record.ref, again.calls.cached, again.rows_before) == ("sms:1", again.calls.total, again.rows)


def test_another_evaluator_looks_again_at_recorded_rows_and_goes_on_where_it_is_not_decided(early: Any) -> None:
    early.write("judges.py", "def score(label: str) -> bool:\n    return label == 'spam'\n")
    early.edit("experiment.yaml", "primary: accuracy", JUDGE + "primary: score")
    early.edit("experiment.yaml", RULE, "sequential: {look_every: 30}\n")
    early.edit(
        "experiment.yaml", "evaluators:", "variants: {zero: {classify: zero}, few: {classify: few}}\nevaluators:"
    )
    first = looks_of(early.run())
    decided, calls = first.arms[0].last, early.calls()
    assert (decided.decision, calls) == ("better", 2 * decided.size)
    # Nothing differs by this one: the recorded rows are looked at first, and only then others are run.
    early.write("judges.py", "def score(label: str) -> bool:\n    return label != ''\n")
    second = early.run()
    assert [look.size for look in looks_of(second).arms[0].looks] == [30, 60, 90, 120, 150, 160]
    assert early.calls() == 320
    early.write("judges.py", "def score(label: str) -> bool:\n    return label == 'spam' and True\n")
    third = early.run()
    assert looks_of(third).arms[0].looks == first.arms[0].looks
    assert early.calls() == 320
    assert {arm.name: arm.rows for arm in third.comparison.arms} == dict.fromkeys(("zero", "few"), decided.size)
    # Its reports are of its own rows, though the runs have more by now.
    files = early.experiments.report("sms:1")
    assert len(files.rows.read_text().splitlines()) == 1 + 2 * decided.size
    with pytest.raises(Conflict, match="stops by what it sees"):
        early.services.get(GateService).bless("sms:3", variant="few")


def stop_before_the_last_look(project: Any) -> None:
    """End an experiment where its last look begins."""

    async def go() -> None:
        stop = Stop()

        def ask(seen: ExperimentProgress) -> None:
            if seen.phase == "rows" and seen.total == 120:
                stop.ask()

        await project.experiments.run(project.file, on_progress=ask, stop=stop)

    with pytest.raises(Interrupted):
        asyncio.run(go())


def test_a_process_that_is_killed_goes_on_with_the_same_rows_and_decisions(early: Any) -> None:
    early.edit("flows/sms/read.py", "    with Path", "    import time\n    time.sleep(0.004)\n    with Path")
    command = [sys.executable, "-m", "pilothouse", "experiment", "run", "experiment.yaml"]
    for wanted in (40, 200):  # in an early look, and in a later one
        running = subprocess.Popen(command, cwd=early.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while early.calls() < wanted:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    stop_before_the_last_look(early)
    recorded = sum(run.counts.done for run in early.services.get(RunService).list())
    before = early.calls()
    assert recorded < 310
    finding = early.run()
    few, strict = looks_of(finding).arms
    assert (few.last.decision, strict.last.decision, strict.last.size) == ("better", "open", 120)
    assert early.calls() - before == 240 + few.last.size - recorded  # no recorded row is run again
    unbroken = early.run(fresh=True)
    assert looks_of(unbroken).arms == looks_of(finding).arms
    assert {run.status for run in early.services.get(RunService).list()} == {"completed"}


def test_failed_rows_count_as_the_worst_and_are_tried_again_once(early: Any) -> None:
    early.write("broken.txt", "")
    early.edit(
        "flows/sms/read.py",
        "    with Path",
        "    root = Path(__file__).parents[2]\n"
        "    if 'x' in answer and root.joinpath('broken.txt').exists():\n"
        "        raise ValueError(answer)\n"
        "    with Path",
    )
    early.edit("script.yaml", "- {when: '^strict.*odd', reply: neither}", "- {when: '^strict.*odd', reply: xyz}")
    first = early.run()
    strict = first.comparison.arm("strict")
    assert strict.failed == round(strict.estimates["accuracy"].counted["failed"]) > 0
    assert looks_of(first).arms[1].last.n == 120
    calls = early.calls()
    (early.root / "broken.txt").unlink()
    second = early.run()
    assert (second.failed, early.calls()) == (0, calls + strict.failed)
    assert looks_of(second).arms == looks_of(first).arms  # 'xyz' is as wrong as no answer


def test_clusters_are_drawn_whole_and_count_once(early: Any) -> None:
    lines = [f"{text},{label},doc{n // 4}" for n, (text, label) in enumerate(texts(160))]
    early.write("data/sms.csv", "\n".join(["text,label,doc", *lines]) + "\n")
    early.edit("experiment.yaml", RULE, "sequential: {look_every: 15}\ncluster: doc\nrepeats: 2\n")
    finding = early.run()
    looks = looks_of(finding)
    few, strict = looks.arms
    assert (looks.unit, looks.units, looks.most) == ("cluster", 40, 40)
    # Every document has one row of each kind: its difference is +1/4 for `few` and 0 for `strict`.
    assert (few.last.value, few.last.n) == (0.25, few.last.size)
    assert (strict.last.value, strict.last.decision, strict.last.n) == (0.0, "open", 40)
    assert finding.comparison.arm("few").rows == few.last.size * 4 * 2
    assert finding.comparison.against_baseline("accuracy")[0].difference.clusters == few.last.size
    assert any("Every doc counts once" in note for note in finding.comparison.notes)


def test_a_mean_without_bounds_has_an_asymptotic_sequence_that_is_silent_at_first(early: Any) -> None:
    early.write("judges.py", "def score(label: str) -> float:\n    return float(len(label))\n")
    early.edit("experiment.yaml", "primary: accuracy", JUDGE + "primary: score")
    early.edit("experiment.yaml", RULE, "sequential: {look_every: 60}\n")
    finding = early.run()
    looks = looks_of(finding)
    assert (looks.exact, looks.method) == (False, "asymptotic confidence sequence")
    assert [look.interval is None for look in looks.arms[0].looks][:2] == [True, False]
    assert any("in the limit of many rows" in note for note in finding.comparison.notes)


def test_arms_that_are_alike_are_decided_by_the_margin(early: Any) -> None:
    early.edit("experiment.yaml", RULE, "sequential: {look_every: 40, min_rows: 80, margin: 0.2}\n")
    early.edit("experiment.yaml", "baseline: zero", "baseline: one")
    early.edit(
        "experiment.yaml",
        "evaluators:",
        "variants: {one: {classify: few}, two: {classify: few, classify.temperature: 1}}\nevaluators:",
    )
    finding = early.run()
    (two,) = looks_of(finding).arms
    assert (two.looks[0].size, two.last.decision) == (80, "no relevant difference")
    assert two.last.size < 160
    assert finding.comparison.outcome == "inconclusive"
    assert finding.comparison.verdict.startswith("two makes no relevant difference from one: the confidence sequence [")


def test_the_report_shows_the_looks_and_the_plan_tells_the_least_and_the_most(
    early: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(early.root)

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(experiment, list(arguments), obj=early.services, standalone_mode=False)
        assert result.exception is None
        return " ".join(result.output.split())

    plan = early.experiments.plan(early.file)
    assert plan.looks is not None
    assert (plan.lines, plan.calls, plan.looks.lines, plan.looks.calls, plan.looks.looks) == (360, 360, 90, 90, 4)
    assert "at least 90 rows and 90 model calls" in call("plan", "experiment.yaml")
    assert "looks at every 30 rows, betting confidence sequence" in call("run", "experiment.yaml")
    page = next(early.root.glob("reports/**/report.html")).read_text()
    assert '<section id="looks">' in page
    assert page.count("look by look</title>") == 2
    assert "not decided" in page
    assert "stopped early at" in page
    assert '"decision":"better"' in call("show", "sms", "--json").replace(": ", ":")
