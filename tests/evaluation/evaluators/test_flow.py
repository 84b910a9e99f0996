"""Flows as evaluators: on a scripted runner for what a real one seldom does, and on the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from pilothouse.core.errors import ConfigError, FlowError, NotFound
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.flow import FlowEvaluator, flow_opener
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluationResult, EvaluationRow, EvaluatorSpec
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow, FlowInput, Node, ToolSource

DAG = """
inputs:
  prediction: {type: string}
  truth: {type: string}
outputs:
  right: {type: bool, reference: "${grade.output.right}"}
  why: {type: string, reference: "${grade.output.why}"}
nodes:
- name: grade
  type: python
  source: {type: code, path: grade.py}
  inputs: {prediction: "${inputs.prediction}", truth: "${inputs.truth}"}
- name: total
  type: python
  aggregation: true
  source: {type: code, path: total.py}
  inputs: {grades: "${grade.output}"}
"""
GRADE = """
from pilothouse import tool

@tool
def grade(prediction: str, truth: str) -> dict:
    if prediction == "boom":
        raise ValueError("cannot grade this")
    return {"right": prediction == truth, "why": f"{prediction} / {truth}"}
"""
TOTAL = """
from pilothouse import log_metric, tool

@tool
def total(grades: list) -> None:
    log_metric("share", sum(grade["right"] for grade in grades) / len(grades))
    log_metric("first", float(grades[0]["why"].split()[0]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "judge"
    path.mkdir()
    for name, text in (("flow.dag.yaml", DAG), ("grade.py", GRADE), ("total.py", TOTAL)):
        (path / name).write_text(text)
    return path


def load(root: Path, source: str = "./judge", **options: Any) -> Evaluator:
    spec = EvaluatorSpec(name="judge", source=source, options=options, where="experiment.yaml:3")
    return load_evaluator(spec, root, flow_opener(None, FlowSettings()))


def evaluate(root: Path, evaluator: Evaluator, rows: Sequence[EvaluationRow]) -> EvaluationResult:
    service = EvaluationService(root=root, open_flow=flow_opener(None, FlowSettings()))
    return asyncio.run(service.evaluate(rows, [evaluator]))


def row(id_: str, prediction: str, truth: str = "1") -> EvaluationRow:
    return EvaluationRow(id=id_, arguments={"judge": {"prediction": prediction, "truth": truth}})


def test_a_flow_named_like_a_built_in_is_not_taken_for_it(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"both a built-in evaluator and a flow.*\n.*'\./judge'"):
        load(folder.parent, "judge")


def test_a_real_flow(folder: Path) -> None:
    evaluator = load(folder.parent)
    rows = [
        row("a", "1"),
        row("b", "boom"),
        row("c", "0"),
        EvaluationRow(id="d", failure=ErrorInfo(type="X", message="y")),
    ]
    found = evaluate(folder.parent, evaluator, rows)
    scores = [scored.scores[0] for scored in found.rows]
    assert [(score.name, score.state, score.value) for score in scores] == [
        ("right", "ok", True),
        ("judge", "error", None),
        ("right", "ok", False),
        ("judge", "error", None),
    ]
    assert scores[0].evidence == {"why": "1 / 1"}
    assert scores[1].error is not None
    assert (scores[1].error.type, scores[1].error.node) == ("ValueError", "grade")
    assert scores[3].failed_upstream
    figures = {item.name: item for item in found.aggregates}
    assert (figures["share"].value, figures["first"].value, figures["share"].n) == (0.5, 1.0, 2)
    assert figures["share"].excluded == {"error": 1, "failed": 1}
    assert [(metric.name, metric.kind) for metric in found.metrics] == [("right", "rate")]


def test_an_evaluator_can_be_used_again(folder: Path) -> None:
    evaluator = load(folder.parent)
    rows = [row("a", "1"), row("b", "0")]
    assert evaluate(folder.parent, evaluator, rows) == evaluate(folder.parent, evaluator, rows)


def test_parameters_are_the_flow_s_inputs(folder: Path) -> None:
    evaluator = load(folder.parent)
    evaluator.parameters.check(["prediction", "truth"], "judge")
    with pytest.raises(ConfigError, match="did you mean 'prediction'"):
        evaluator.parameters.check(["predictoin", "truth"], "judge")


def test_version_follows_the_content(folder: Path) -> None:
    version = load(folder.parent).version
    assert load(folder.parent).version == version
    (folder / "grade.py").write_text(GRADE.replace("==", "!="))
    assert load(folder.parent).version != version


def test_what_cannot_be_loaded_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no option 'variant'; did you mean 'variants'"):
        load(folder.parent, variant={})
    with pytest.raises(ConfigError, match="option 'variants' is 'x'"):
        load(folder.parent, variants="x")
    with pytest.raises(FlowError):
        load(folder.parent, variants={"nobody": "v1"})
    with pytest.raises(NotFound):
        load(folder.parent, source="jugde")
    (folder.parent / "empty").mkdir()
    with pytest.raises(NotFound, match="holds no flow"):
        load(folder.parent, source="empty")


class Scripted:
    """A runner that says what it is told to."""

    def __init__(self, lines: Mapping[int, LineResult], aggregation: AggregationResult) -> None:
        self.lines = lines
        self.aggregation = aggregation
        self.aggregated: list[int] = []
        self.open = 0
        self.slots: int | None = None

    async def run_line(self, inputs: Mapping[str, Any], *, line_number: int = 0) -> LineResult:
        assert self.open == 1
        return self.lines[line_number]

    async def aggregate(self, lines: Sequence[LineResult]) -> AggregationResult:
        self.aggregated = [line.line_number for line in lines]
        return self.aggregation

    async def __aenter__(self) -> Self:
        self.open += 1
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.open -= 1


def scripted(
    outputs: Sequence[dict[str, Any] | None], aggregation: AggregationResult
) -> tuple[Scripted, EvaluationResult]:
    lines = {
        i: LineResult(line_number=i, status="completed" if said is not None else "failed", outputs=said or {})
        for i, said in enumerate(outputs)
    }
    runner = Scripted(lines, aggregation)
    total = Node(name="total", type="python", aggregation=True, source=ToolSource())
    flow = Flow(
        name="judge", path=Path("flow.dag.yaml"), inputs={"x": FlowInput(name="x", type="string")}, nodes=(total,)
    )
    evaluator = FlowEvaluator("judge", flow, lambda: runner, "v1")
    rows = [EvaluationRow(id=str(i), arguments={"judge": {"x": str(i)}}) for i in range(len(lines))]
    return runner, evaluate(Path(), evaluator, rows)


def test_outputs_become_scores() -> None:
    runner, found = scripted(
        [{"grade": "Correct"}, {"score": 4, "why": "x"}, {}, {"score": float("nan")}, None],
        AggregationResult(metrics={"mean": 4.0, "broken": float("nan")}),
    )
    assert [(s.name, s.state, s.value) for scored in found.rows for s in scored.scores] == [
        ("grade", "ok", "Correct"),
        ("score", "ok", 4.0),
        ("judge", "abstained", None),
        ("score", "error", None),
        ("judge", "error", None),
    ]
    assert runner.aggregated == [0, 1, 2, 3]
    assert runner.open == 0
    assert {item.name: item.value for item in found.aggregates} == {"mean": 4.0, "broken": None}


def test_a_failed_aggregation_is_said_beside_what_was_logged() -> None:
    error = ErrorInfo(type="ValueError", message="boom", node="total")
    _, found = scripted([{"score": 1}], AggregationResult(metrics={"mean": 1.0}, error=error))
    mean, fault = found.aggregates
    assert (mean.name, mean.value) == ("mean", 1.0)
    assert (fault.value, fault.note) == (None, "its aggregation failed in 'total': boom")


def test_users_share_one_runner() -> None:
    runner = Scripted({0: LineResult(status="completed")}, AggregationResult())
    evaluator = FlowEvaluator("judge", Flow(name="judge", path=Path("x")), lambda: runner, "v1")

    async def run() -> None:
        async with evaluator:
            async with evaluator:
                assert runner.open == 1
            assert runner.open == 1
            await evaluator.judge({}, 0)

    asyncio.run(run())
    assert runner.open == 0


def test_no_more_lines_run_at_once_than_the_flows_models_serve() -> None:
    class Counting(Scripted):
        running = most = 0

        async def run_line(self, inputs: Mapping[str, Any], *, line_number: int = 0) -> LineResult:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            self.running -= 1
            return self.lines[0]

    async def run(slots: int | None) -> int:
        runner = Counting({0: LineResult(status="completed")}, AggregationResult())
        runner.slots = slots
        evaluator = FlowEvaluator("judge", Flow(name="judge", path=Path("x")), lambda: runner, "v1")
        async with evaluator:
            await asyncio.gather(*(evaluator.judge({}, number) for number in range(9)))
        return runner.most

    assert [asyncio.run(run(slots)) for slots in (2, None)] == [2, 9]
