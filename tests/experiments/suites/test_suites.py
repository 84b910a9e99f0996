"""Every suite against a flow that does well, and one with the fault that it is made to find; real runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError, Conflict, NotFound, UserError
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.suites.table import SUITES, suite_named
from pilothouse.evaluation.suites.types import SuiteReport
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.suites.service import SuiteRequest, SuiteService
from pilothouse.experiments.types import EvaluatorUse


def asked(services: Any, flow: str, name: str, mode: str, **more: Any) -> tuple[SuiteReport, Run]:
    suites, suite = services.get(SuiteService), suite_named(name)
    request = SuiteRequest(flow=flow, input="question", output="output", inputs={"mode": mode}, **more)

    async def go() -> tuple[SuiteReport, Run]:
        run = await suites.execute(suites.spec(suite, request))
        return await suites.report(suite, request, run), run

    return asyncio.run(go())


@pytest.mark.parametrize("name", SUITES)
def test_a_flow_that_does_well_passes_and_one_with_a_planted_fault_fails(services: Any, flow: str, name: str) -> None:
    good, run = asked(services, flow, name, "good")
    assert good.outcome == "pass", [(f.name, f.outcome, f.note, f.estimate) for f in good.figures]
    assert run.status == "completed"
    assert run.spec.tags["suite"] == name
    assert good.rows == len(SUITES[name].prompts(7)) * SUITES[name].repeats
    bad, _ = asked(services, flow, name, "bad")
    assert bad.outcome == "fail"
    assert all(figure.estimate.interval is not None or figure.note for figure in (*good.figures, *bad.figures))


def test_rows_without_an_answer_are_counted_and_never_pass(services: Any, flow: str) -> None:
    report, run = asked(services, flow, "jailbreak", "broken")
    assert report.outcome == "inconclusive"
    assert report.unanswered == report.rows == 20
    assert report.figures[0].estimate.value is None
    assert report.figures[0].estimate.excluded == {"failed": 20}
    assert run.within_limit is False or run.status == "failed"


def test_the_rows_are_a_version_of_a_dataset_and_the_seed_makes_another(services: Any, flow: str) -> None:
    first = asked(services, flow, "jailbreak", "good")[1]
    again = asked(services, flow, "jailbreak", "good")[1]
    assert first.data is not None
    assert again.data is not None
    assert first.data.source == again.data.source == "dataset:suite-jailbreak:1"
    suites, suite = services.get(SuiteService), suite_named("jailbreak")
    other = SuiteRequest(flow=flow, input="question", output="output", seed=8)
    assert suites.spec(suite, other).data == "dataset:suite-jailbreak:2"
    assert services.get(DatasetService).show("suite-jailbreak:2").rows == 20
    with pytest.raises(Conflict, match="seed 8"):
        asyncio.run(suites.report(suite, other, first))


def test_runs_of_a_suite_are_compared_as_any_others(services: Any, flow: str) -> None:
    _, good = asked(services, flow, "injection", "good")
    _, bad = asked(services, flow, "injection", "bad")
    use = EvaluatorUse(
        spec=EvaluatorSpec(name="suite", source="suite_checks"),
        column_mapping={"answer": "${run.outputs.output}", "check": "${data.check}"},
    )
    found = asyncio.run(services.get(ExperimentService).compare([good.name, bad.name], [use]))
    (difference,) = found.against_baseline("obeyed")
    assert difference.verdict == "worse"
    assert difference.difference.value == 1.0


def test_an_own_evaluator_is_compared_over_the_sides_of_the_bias_suite(services: Any, flow: str) -> None:
    Path(services.root, "own.py").write_text("def warmth(answer):\n    return 0.0 if 'sorry' in answer else 1.0\n")
    own = EvaluatorSpec(name="warmth", source="own.py:warmth")
    report, _ = asked(services, flow, "bias", "bad", evaluator=own)
    figures = {figure.name: figure for figure in report.figures if figure.name.startswith("warmth")}
    assert set(figures) == {"warmth: warmth, gender", "warmth: warmth, names", "warmth: warmth, dialect"}
    assert all(figure.outcome == "fail" and figure.estimate.value == -1.0 for figure in figures.values())


def test_an_own_evaluator_of_other_suites_is_shown_without_an_outcome(services: Any, flow: str) -> None:
    Path(services.root, "own.py").write_text("def short(answer, question):\n    return len(answer) < len(question)\n")
    own = EvaluatorSpec(name="short", source="own.py:short")
    report, _ = asked(services, flow, "toxicity", "good", evaluator=own)
    figure = report.figures[-1]
    assert (figure.name, figure.outcome, figure.estimate.value) == ("short: short", None, 1.0)
    assert report.outcome == "pass"


def test_a_stricter_limit_cannot_be_met_by_few_templates(services: Any, flow: str) -> None:
    report, _ = asked(services, flow, "toxicity", "good", limit=0.01)
    assert report.outcome == "inconclusive"
    assert report.figures[0].failures == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input": "questoin"}, "no input 'questoin'"),
        ({"context": "doc"}, "no input 'doc'"),
        ({"inputs": {"mod": "x"}}, "no input 'mod'"),
    ],
)
def test_a_name_that_the_flow_does_not_have_is_refused_before_anything_runs(
    services: Any, flow: str, changed: dict[str, Any], said: str
) -> None:
    request = SuiteRequest(**{"flow": flow, "input": "question", "output": "output", **changed})
    with pytest.raises(UserError, match=said):
        services.get(SuiteService).spec(suite_named("pii"), request)
    assert services.get(RunService).list() == []


def test_an_own_canary_is_looked_for_in_every_answer_and_kept_nowhere(services: Any, flow: str) -> None:
    report, run = asked(services, flow, "toxicity", "good", canaries=("stay friendly",))
    assert report.outcome == "fail"
    assert (report.figures[-1].name, report.figures[-1].failures) == ("own canary told", 20)
    assert "stay friendly" not in str(report.cases[0].found)
    assert "stay friendly" not in str(run)
    quiet, _ = asked(services, flow, "toxicity", "good", canaries=("heron-lantern-52",))
    assert quiet.outcome == "pass"
    with pytest.raises(UserError, match="by chance"):
        asked(services, flow, "toxicity", "good", canaries=("a-b",))


def test_an_own_evaluator_with_other_arguments_is_refused(services: Any, flow: str) -> None:
    Path(services.root, "own.py").write_text("def odd(answer, gold):\n    return True\n")
    own = EvaluatorSpec(name="odd", source="own.py:odd")
    request = SuiteRequest(flow=flow, input="question", output="output", evaluator=own)
    with pytest.raises(ConfigError, match="gold"):
        services.get(SuiteService).spec(suite_named("pii"), request)


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="jailbreak"):
        suite_named("jailbrake")
