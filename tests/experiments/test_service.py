"""Experiments from end to end: real flows, real runs, real scores, a scripted model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError, Conflict, ConnectionFault, DataError, Interrupted, NotFound
from pilothouse.experiments.arms import ExperimentProgress
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.registry.service import RegistryService

from .conftest import Project


def test_a_golden_experiment_finds_what_was_planted(project: Project) -> None:
    finding = project.run()
    found = finding.comparison
    assert (finding.record.ref, finding.record.status, finding.rows, finding.failed) == ("sms:1", "completed", 120, 0)
    assert {arm.name: arm.estimates["accuracy"].value for arm in found.arms} == {
        "zero": 0.75,
        "few": 1.0,
        "strict": 0.75,
    }
    better, open_one = found.against_baseline("accuracy")
    assert (better.candidate, better.verdict, better.discordant) == ("few", "better", (0, 10))
    assert (open_one.candidate, open_one.verdict, open_one.discordant) == ("strict", "inconclusive", (10, 10))
    assert better.correction == "holm, 2 comparisons"
    assert (found.outcome, found.best, found.disagreements) == ("better", "few", 20)
    assert found.verdict.startswith("few is better than zero: accuracy 1.00 against 0.75")
    assert "strict is inconclusive; 40 rows could only have detected differences of" in found.verdict
    assert [diff.candidate for diff in found.prompts] == ["few", "strict"]
    assert all(arm.usage.input_tokens == 260 and arm.calls.total == 40 for arm in found.arms)
    assert finding.files.html.is_file()


def test_the_same_experiment_again_calls_nothing_and_is_the_same_record(project: Project) -> None:
    first = project.run()
    calls = project.calls()
    again = project.run()
    assert (calls, project.calls()) == (120, 120)
    assert (again.record.id, again.record.ref) == (first.record.id, "sms:1")
    assert (again.calls.cached, again.calls.total, again.rows_before) == (120, 120, 120)
    assert again.comparison.arms == first.comparison.arms
    assert again.comparison.comparisons == first.comparison.comparisons
    assert len(project.experiments.list()) == 1


def test_a_changed_evaluator_scores_again_without_running_the_flow(project: Project) -> None:
    project.run()
    project.edit(
        "experiment.yaml", "use: classification\n", "use: classification\n    options: {labels: [ham, spam]}\n"
    )
    again = project.run()
    assert project.calls() == 120
    assert (again.record.ref, again.calls.cached) == ("sms:2", 120)
    project.edit(
        "experiment.yaml",
        "primary:",
        "  - {use: judges.py:length, column_mapping: {label: '${run.outputs.label}'}}\nprimary:",
    )
    third = project.run()
    assert project.calls() == 120
    assert third.comparison.arm("few").estimates["length"].value == pytest.approx(3.5)
    project.edit("judges.py", "return len(label)", "return len(label) * 2")
    fourth = project.run()
    assert (project.calls(), fourth.record.ref) == (120, "sms:4")
    assert fourth.comparison.arm("few").estimates["length"].value == pytest.approx(7.0)


def test_a_changed_prompt_makes_a_new_version_and_takes_unchanged_calls_from_the_cache(project: Project) -> None:
    first = project.run()
    project.edit("flows/sms/few.jinja2", "Sort messages.", "Sort these messages.")
    again = project.run()
    assert again.record.ref == "sms:2"
    assert (again.calls.total, again.calls.cached) == (120, 80)
    before, after = first.comparison.arm("zero").latency, again.comparison.arm("zero").latency
    assert (after.cached, after.unknown, after.p50, after.p95) == (40, 0, before.p50, before.p95)
    assert "(from cache)" in again.files.html.read_text()
    assert project.experiments.comparison("sms:1").arm("few").usage.input_tokens == 260


def test_another_model_behind_the_same_connection_is_another_experiment(project: Project) -> None:
    project.run()
    project.edit("connections/scripted.yaml", "model: tiny", "model: large")
    again = project.run()
    assert (again.record.ref, again.calls.cached) == ("sms:2", 0)


def test_fresh_does_everything_anew(project: Project) -> None:
    first = project.run()
    again = project.run(fresh=True)
    assert project.calls() == 240
    assert (again.calls.cached, again.record.id) == (0, first.record.id)
    assert {link.run for link in again.record.runs}.isdisjoint(link.run for link in first.record.runs)


def test_an_interrupted_experiment_goes_on_where_it_stopped(project: Project) -> None:
    async def interrupted() -> None:
        stop = Stop()

        def ask(seen: ExperimentProgress) -> None:
            if seen.position == 1 and seen.phase == "rows" and not stop.is_asked:
                stop.ask()

        await project.experiments.run(project.file, on_progress=ask, stop=stop)

    with pytest.raises(Interrupted, match="the same command goes on from there"):
        asyncio.run(interrupted())
    done = project.calls()
    assert 40 <= done < 120
    assert project.experiments.get("sms").status == "interrupted"
    with pytest.raises(Conflict, match="has not been run to its end"):
        project.experiments.comparison("sms")
    finding = project.run()
    assert project.calls() == 120
    assert (finding.record.status, finding.rows_before) == ("completed", done)
    assert finding.comparison.arm("few").estimates["accuracy"].value == 1.0


def test_a_stop_does_not_wait_for_the_judges(project: Project) -> None:
    project.write(
        "judges.py", "import asyncio\nasync def slow(label):\n    await asyncio.sleep(0.05)\n    return 1.0\n"
    )
    project.edit(
        "experiment.yaml",
        "primary:",
        "  - {use: judges.py:slow, column_mapping: {label: '${run.outputs.label}'}}\nprimary:",
    )

    async def interrupted() -> None:
        stop = Stop()

        def ask(seen: ExperimentProgress) -> None:
            if seen.phase == "scoring" and seen.done > 0 and not stop.is_asked:
                stop.ask()

        await project.experiments.run(project.file, on_progress=ask, stop=stop)

    with pytest.raises(Interrupted, match="40 of 40 rows are recorded"):
        asyncio.run(interrupted())
    assert project.calls() == 40
    assert project.run().comparison.arm("few").estimates["slow"].value == 1.0
    assert project.calls() == 120


def test_a_metric_that_no_evaluator_gives_is_told_after_the_rows_are_kept(project: Project) -> None:
    project.edit(
        "experiment.yaml",
        "primary: accuracy",
        "  - {use: judges.py:length, column_mapping: {label: '${run.outputs.label}'}}\nprimary: lenght",
    )
    with pytest.raises(NotFound, match="did you mean 'length'"):
        project.run()
    assert (project.calls(), project.experiments.get("sms").status) == (120, "interrupted")
    project.edit("experiment.yaml", "primary: lenght", "primary: length")
    assert project.run().comparison.primary == "length"
    assert project.calls() == 120


def test_failed_rows_count_as_wrong_and_are_tried_again(project: Project) -> None:
    project.data([("boom", "spam"), ("a prize", "spam"), ("hello", "ham"), ("hello you", "ham")])
    finding = project.run()
    assert (finding.record.status, finding.failed) == ("completed_with_errors", 3)
    estimate = finding.comparison.arm("few").estimates["accuracy"]
    assert (estimate.value, estimate.n, estimate.counted) == (0.75, 4, {"failed": 1})
    assert "1 of 4 rows of few failed and count as the worst score." in finding.comparison.notes
    page = finding.files.html.read_text()
    assert "HTTP 400: as the script says" in page
    before = project.calls()
    again = project.run()
    assert (again.failed, again.rows_before, project.calls()) == (3, 9, before)
    assert again.record.id == finding.record.id


def test_an_experiment_in_which_every_row_fails_says_so(project: Project) -> None:
    project.data([("boom 1", "spam"), ("boom 2", "ham"), ("boom 3", "ham")])
    finding = project.run()
    assert (finding.record.status, finding.failed) == ("failed", 9)
    assert all(arm.estimates["accuracy"].value == 0.0 for arm in finding.comparison.arms)
    assert finding.comparison.outcome == "inconclusive"
    assert all(arm.latency.p50 is None for arm in finding.comparison.arms)
    assert finding.files.html.stat().st_size > 1000


def test_one_class_only_is_measured_with_a_note(project: Project) -> None:
    project.data([(f"hello {number}", "ham") for number in range(25)])
    finding = project.run()
    arm = finding.comparison.arm("few")
    assert arm.estimates["accuracy"].value == 1.0
    assert "one class only" in (arm.estimates["macro_f1"].note or "")
    assert finding.comparison.outcome == "inconclusive"


def test_a_single_variant_is_described_without_a_comparison(project: Project) -> None:
    project.edit("experiment.yaml", "baseline: zero\n", "variants: ['${classify.few}']\n")
    finding = project.run()
    assert (finding.comparison.outcome, finding.comparison.comparisons) == ("single", ())
    assert finding.comparison.verdict.startswith("accuracy of few is 1.00 [0.91, 1.00], n = 40.")


def test_repeats_are_clusters_not_rows(project: Project) -> None:
    project.edit("experiment.yaml", "concurrency: 4", "repeats: 3")
    finding = project.run(overrides=Overrides(limit=8))
    estimate = finding.comparison.arm("zero").estimates["accuracy"]
    assert (estimate.n, estimate.clusters) == (24, 8)
    assert len({line.split(",")[0] for line in finding.files.rows.read_text().splitlines()[1:]}) == 8


def test_rows_carry_the_data_s_own_ids(project: Project) -> None:
    project.write("data/sms.csv", "id,text,label\nm1,hello,ham\nm2,a prize,spam\n")
    project.edit("experiment.yaml", "data: data/sms.csv\n", "data: data/sms.csv\nid_column: id\n")
    finding = project.run()
    assert "m2" in finding.files.rows.read_text()


def test_duplicate_ids_are_refused_with_both_lines(project: Project) -> None:
    project.write("data/sms.csv", "id,text,label\nm1,hello,ham\nm1,a prize,spam\n")
    project.edit("experiment.yaml", "data: data/sms.csv\n", "data: data/sms.csv\nid_column: id\n")
    with pytest.raises(DataError, match="'m1' stands twice"):
        project.run()
    assert project.calls() == 0


def test_an_empty_dataset_is_refused(project: Project) -> None:
    project.write("data/sms.csv", "text,label\n")
    with pytest.raises(DataError, match="no row"):
        project.run()


@pytest.mark.parametrize(
    ("file", "old", "new", "error", "words"),
    [
        ("experiment.yaml", "truth: ${data.label}", "truth: ${data.lable}", ConfigError, ["experiment.yaml:13", "--map label.truth=", "no column 'lable'", "did you mean 'label'"]),
        ("experiment.yaml", "${run.outputs.label}", "${run.outputs.lbl}", ConfigError, ["experiment.yaml:12", "no output 'lbl'"]),
        ("experiment.yaml", "text: ${data.text}", "text: ${data.txt}", ConfigError, ["experiment.yaml:6", "no column 'txt'"]),
        ("experiment.yaml", "text: ${data.text}", "txt: ${data.text}", ConfigError, ["experiment.yaml:6", "no input 'txt'", "did you mean 'text'"]),
        ("experiment.yaml", "primary: accuracy", "primary: acuracy", ConfigError, ["experiment.yaml:14", "did you mean 'accuracy'"]),
        ("experiment.yaml", "truth: ${data.label}", "thruth: ${data.label}", ConfigError, ["no argument 'thruth'", "truth"]),
        ("experiment.yaml", "use: classification", "use: clasification", NotFound, ["experiment.yaml:10", "classification"]),
        ("connections/scripted.yaml", "type: scripted\nscript: script.yaml\nmodel: tiny", "type: open_ai", ConnectionFault, ["SCRIPTED_API_KEY"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_any_call(
    project: Project, file: str, old: str, new: str, error: type[Exception], words: list[str]
) -> None:
    project.edit(file, old, new)
    with pytest.raises(error) as caught:
        project.run()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert project.calls() == 0
    assert project.services.get(RunService).list() == []


def test_own_data_goes_in_by_one_flag_and_a_mapping(project: Project) -> None:
    project.write("own.jsonl", '{"body": "a prize", "kind": "spam"}\n{"body": "hello", "kind": "ham"}\n')
    with pytest.raises(ConfigError, match="--map text=data"):
        project.run(overrides=Overrides(data="own.jsonl", folder=project.root))
    mapping = {"text": "${data.body}", "label.truth": "${data.kind}"}
    finding = project.run(overrides=Overrides(data="own.jsonl", column_mapping=mapping, folder=project.root))
    assert finding.comparison.arm("zero").estimates["accuracy"].value == 1.0


def test_an_evaluator_that_raises_is_a_state_and_not_a_score(project: Project) -> None:
    project.write(
        "judges.py",
        "def length(label):\n    if label == 'spam':\n        raise ValueError('no')\n    return len(label)\n",
    )
    project.edit(
        "experiment.yaml",
        "primary:",
        "  - {use: judges.py:length, column_mapping: {label: '${run.outputs.label}'}}\nprimary:",
    )
    estimate = project.run().comparison.arm("few").estimates["length"]
    assert (estimate.value, estimate.n, estimate.excluded) == (3.0, 20, {"error": 20})


def test_time_and_tokens_are_judged_without_a_mapping(project: Project) -> None:
    project.edit("experiment.yaml", "primary:", "  - {use: latency}\n  - {use: tokens}\nprimary:")
    found = project.run().comparison
    assert found.arm("zero").estimates["tokens"].value == pytest.approx(7.5)
    assert (found.arm("zero").estimates["latency_p50"].value or 0) > 0


def test_lineage_leads_from_flow_and_data_to_the_experiment(project: Project) -> None:
    finding = project.run()
    registry = project.services.get(RegistryService)
    edges = registry.lineage("experiment/sms:1", "up")
    kinds = {edge.source.split("/")[0] for edge in edges}
    assert {"run", "evaluator", "flow", "data-file"} <= kinds
    assert {f"run/{link.run}:1" for link in finding.record.runs} <= {edge.source for edge in edges}


def test_a_report_is_written_again_from_what_was_recorded(project: Project) -> None:
    files = project.run().files
    before = {path: path.read_bytes() for path in (files.html, files.rows, files.summary)}
    for path in before:
        path.unlink()
    project.experiments.report("sms")
    assert {path: path.read_bytes() for path in before} == before
    assert project.calls() == 120


def test_a_plan_counts_what_is_left_and_what_can_be_found(project: Project) -> None:
    planned = project.experiments.plan(project.file)
    assert (planned.rows, planned.lines, planned.done, planned.calls, planned.comparisons) == (40, 120, 0, 120, 2)
    assert [item.difference is None for item in planned.detectable] == [True, True, True, False]
    assert all(0 < (item.difference or 0.01) <= item.disagreement for item in planned.detectable)
    project.run()
    again = project.experiments.plan(project.file)
    assert (again.done, again.calls, project.calls()) == (120, 0, 120)


def test_runs_are_compared_directly(project: Project) -> None:
    finding = project.run()
    names = [link.run for link in finding.record.runs]
    uses = finding.record.definition.evaluators
    found = asyncio.run(project.experiments.compare(names[:2], uses, primary="macro_f1"))
    assert (found.primary, found.baseline, found.outcome) == ("macro_f1", names[0], "better")
    assert project.calls() == 120
    with pytest.raises(NotFound, match="did you mean 'macro_f1'"):
        asyncio.run(project.experiments.compare(names[:2], uses, primary="macro_f2"))


def test_runs_over_different_data_are_not_compared(project: Project) -> None:
    finding = project.run()
    runs = project.services.get(RunService)
    project.write("data/other.csv", "text,label\nhello,ham\n")
    other = asyncio.run(runs.execute(RunSpec(flow="flows/sms", data="data/other.csv")))
    uses: Any = finding.record.definition.evaluators
    with pytest.raises(Conflict, match="over different data"):
        asyncio.run(project.experiments.compare([finding.record.runs[0].run, other.name], uses))
