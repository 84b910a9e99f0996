"""Aggregation nodes: what they get, what they log, and that lists always belong together."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows.building import FakeModels, Project, aggregate, llm, python, run_lines, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.recording import log_metric
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.types import Usage

LOG = "from pilothouse import log_metric"
ECHO = tool("echo", "value", "return value")


def flow(
    project: Project, body: str, inputs: dict[str, str], *, nodes: list[dict[str, Any]] | None = None, **files: str
) -> Path:
    total = python("total", inputs=inputs, aggregation=True)
    return project.flow(
        [*(nodes if nodes is not None else [python("echo", inputs={"value": "${inputs.x}"})]), total],
        inputs={"x": "int"},
        outputs={"o": "${echo.output}"} if nodes is None else {},
        files={
            "echo.py": ECHO,
            "total.py": tool("total", ", ".join(inputs), body, head=LOG),
            **{f"{k}.py": v for k, v in files.items()},
        },
    )


def test_inputs_and_outputs_arrive_as_lists_in_input_order(project: Project) -> None:
    body = "log_metric('count', len(xs)); return [xs, ys]"
    path = flow(project, body, {"xs": "${inputs.x}", "ys": "${echo.output}"})
    made = aggregate(path, [{"x": x} for x in (3, 1, 2)])
    assert made.metrics == {"count": 3.0}
    assert made.nodes[0].output == [[3, 1, 2], [3, 1, 2]]
    assert made.lines == 3


def test_defect_1_of_prompt_flow_lists_stay_aligned_after_a_resume(project: Project) -> None:
    """5 rows, row 0 fails, is run again and arrives last: prompt flow mismatches 5 of 5."""
    path = flow(
        project,
        "log_metric('mismatched', sum(x != y for x, y in zip(xs, ys))); return xs",
        {"xs": "${inputs.x}", "ys": "${echo.output}"},
    )
    lines = run_lines(path, [{"x": x} for x in range(5)])
    old_then_new = [*lines[1:], lines[0]]
    made = asyncio.run(FlowRunner(load_flow(path)).aggregate(old_then_new))
    assert made.metrics == {"mismatched": 0.0}
    assert made.nodes[0].output == [0, 1, 2, 3, 4]


def test_any_order_of_arrival_gives_the_same_lists(project: Project) -> None:
    path = flow(project, "return list(zip(xs, ys))", {"xs": "${inputs.x}", "ys": "${echo.output}"})
    lines = run_lines(path, [{"x": x} for x in range(20)])
    expected = [(x, x) for x in range(20)]
    shuffle = random.Random(5)
    runner = FlowRunner(load_flow(path))
    for _ in range(5):
        shuffle.shuffle(lines)
        assert asyncio.run(runner.aggregate(lines)).nodes[0].output == expected


def test_failed_lines_are_left_aside_and_bypassed_nodes_keep_their_place(project: Project) -> None:
    nodes = [
        python("echo", "divide.py", inputs={"value": "${inputs.x}"}),
        python("maybe", "echo.py", inputs={"value": "${echo.output}"}, activate={"when": "${inputs.x}", "is": 2}),
    ]
    path = flow(
        project,
        "return [xs, ms]",
        {"xs": "${inputs.x}", "ms": "${maybe.output}"},
        nodes=nodes,
        divide=tool("divide", "value", "return 10 / value"),
    )
    made = aggregate(path, [{"x": x} for x in (0, 1, 2, 0, 5)])
    assert made.nodes[0].output == [[1, 2, 5], [None, 5.0, None]]
    assert made.lines == 3


def test_one_line_gives_lists_of_one(project: Project) -> None:
    made = aggregate(flow(project, "return [xs, ys]", {"xs": "${inputs.x}", "ys": "${echo.output}"}), [{"x": 7}])
    assert made.nodes[0].output == [[7], [7]]


def test_literals_are_no_lists_and_keep_their_types(project: Project) -> None:
    path = flow(project, "return [xs, limit]", {"xs": "${inputs.x}", "limit": 5})  # type: ignore[dict-item]
    assert aggregate(path, [{"x": 1}, {"x": 2}]).nodes[0].output == [[1, 2], 5]


def test_paths_are_followed_in_every_line(project: Project) -> None:
    path = flow(
        project,
        "return xs",
        {"xs": "${echo.output.parts[0]}"},
        nodes=[python("echo", "parts.py", inputs={"value": "${inputs.x}"})],
        parts=tool("parts", "value", "return {'parts': [value * 2]}"),
    )
    assert aggregate(path, [{"x": 1}, {"x": 2}]).nodes[0].output == [2, 4]


def test_a_path_that_leads_nowhere_is_the_aggregations_error(project: Project) -> None:
    made = aggregate(flow(project, "return xs", {"xs": "${echo.output.part}"}), [{"x": 1}])
    assert made.error is not None
    assert "has no 'part'" in made.error.message
    assert made.nodes == ()


def test_aggregation_nodes_may_read_each_other(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": "${inputs.x}"}),
        python("mean", "mean.py", inputs={"xs": "${echo.output}"}, aggregation=True),
    ]
    path = flow(
        project,
        "log_metric('spread', max(abs(x - mean) for x in xs))",
        {"xs": "${inputs.x}", "mean": "${mean.output}"},
        nodes=nodes,
        mean=tool("mean", "xs", "return sum(xs) / len(xs)"),
    )
    assert aggregate(path, [{"x": 1}, {"x": 2}, {"x": 6}]).metrics == {"spread": 3.0}


def test_activate_works_among_aggregation_nodes(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": "${inputs.x}"}),
        python(
            "first",
            "echo.py",
            inputs={"value": "${echo.output}"},
            aggregation=True,
            activate={"when": "${inputs.x}", "is": [1, 2]},
        ),
    ]
    path = flow(project, "return first", {"first": "${first.output}"}, nodes=nodes)
    assert [node.status for node in aggregate(path, [{"x": 1}, {"x": 2}]).nodes] == ["completed", "completed"]
    assert [node.status for node in aggregate(path, [{"x": 1}]).nodes] == ["bypassed", "bypassed"]


@pytest.mark.parametrize(("value", "number"), [("1", 1.0), ("True", 1.0), ("'2.5'", 2.5), ("Decimal('0.5')", 0.5)])
def test_what_is_a_number_becomes_one(project: Project, value: str, number: float) -> None:
    path = flow(project, f"from decimal import Decimal; log_metric('m', {value})", {"xs": "${inputs.x}"})
    assert aggregate(path, [{"x": 1}]).metrics == {"m": number}


@pytest.mark.parametrize("value", ["'high'", "None", "[1]", "{}"])
def test_what_is_no_number_fails_in_the_users_file(project: Project, value: str) -> None:
    made = aggregate(
        flow(project, f"log_metric('before', 1); log_metric('m', {value})", {"xs": "${inputs.x}"}), [{"x": 1}]
    )
    assert made.error is not None
    assert "the metric 'm' is not a number" in made.error.message
    assert "total.py" in (made.error.traceback or "")
    assert made.metrics == {"before": 1.0}


def test_a_metric_logged_again_keeps_the_last_value_and_is_noted(project: Project) -> None:
    made = aggregate(
        flow(
            project,
            "log_metric('m', 1, variant_id='a'); log_metric('m', 2, 'b'); log_metric('n', 1); log_metric('n', 1)",
            {"xs": "${inputs.x}"},
        ),
        [{"x": 1}],
    )
    assert made.metrics == {"m": 2.0, "n": 1.0}
    assert made.notes == ("the metric 'm' was logged again for the variant 'b': the last value counts",)


def test_a_metric_logged_for_a_line_is_not_kept_and_noted_once(project: Project) -> None:
    source = tool("echo", "value", "log_metric('m', 1); log_metric('m', 2); return value", head=LOG)
    path = project.flow(
        [python("echo", inputs={"value": "${inputs.x}"})], inputs={"x": "int"}, files={"echo.py": source}
    )
    (line,) = run_lines(path, [{"x": 1}])
    assert line.notes == ("the metric 'm' was logged outside an aggregation node and is not kept",)


def test_outside_of_flows_a_metric_goes_nowhere() -> None:
    log_metric("m", 1)


def test_metrics_of_runs_side_by_side_stay_apart(tmp_path: Path) -> None:
    async def go() -> list[AggregationResult]:
        runners = []
        for number in range(4):
            path = flow(
                Project(tmp_path / str(number)),
                f"import time; log_metric('m', {number}); time.sleep(0.01); log_metric('n', {number})",
                {"xs": "${inputs.x}"},
            )
            runners.append(FlowRunner(load_flow(path)).open())
        line = LineResult(status="completed", inputs={"x": 1})
        return await asyncio.gather(*(runner.aggregate([line]) for runner in runners))

    found = asyncio.run(go())
    assert [made.metrics for made in found] == [{"m": float(number), "n": float(number)} for number in range(4)]


def test_no_completed_line_is_an_error_and_not_a_crash_of_the_users_code(project: Project) -> None:
    path = flow(project, "return 1 / len(xs)", {"xs": "${inputs.x}"})
    made = aggregate(path, [{"x": "none"}])
    assert made.error is not None
    assert "no line was completed" in made.error.message
    assert made.nodes == ()


def test_a_flow_without_aggregation_nodes_has_nothing_to_do(project: Project) -> None:
    path = project.flow([python("echo", inputs={"value": "${inputs.x}"})], inputs={"x": "int"}, files={"echo.py": ECHO})
    assert aggregate(path, [{"x": 1}]) == AggregationResult(lines=1)


def test_an_aggregation_that_raises_keeps_what_was_logged_before(project: Project) -> None:
    made = aggregate(flow(project, "log_metric('m', 1); raise ValueError('broken')", {"xs": "${inputs.x}"}), [{"x": 1}])
    assert made.metrics == {"m": 1.0}
    assert made.error is not None
    assert (made.error.type, made.error.node) == ("ValueError", "total")


def test_an_async_or_llm_aggregation_works_and_its_tokens_count(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": "${inputs.x}"}),
        llm("judge", inputs={"answers": "${echo.output}"}, aggregation=True),
    ]
    files = {
        "echo.py": ECHO,
        "judge.jinja2": "user:\n{{ answers | join(', ') }}\n",
        "log.py": tool("log", "text", "log_metric('length', len(text))", head=LOG).replace("def log", "async def log"),
    }
    path = project.flow(
        [*nodes, python("log", inputs={"text": "${judge.output}"}, aggregation=True)], inputs={"x": "int"}, files=files
    )
    made = aggregate(path, [{"x": 1}, {"x": 2}], models=FakeModels())
    assert made.metrics == {"length": 4.0}
    assert made.usage == Usage(input_tokens=10, output_tokens=2)


def test_the_runner_says_which_nodes_aggregation_reads(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": "${inputs.x}"}),
        python("other", "echo.py", inputs={"value": "${echo.output}"}),
    ]
    path = flow(project, "return 1", {"xs": "${inputs.x}", "ys": "${other.output.a}"}, nodes=nodes)
    assert FlowRunner(load_flow(path)).needs_for_aggregation == ("other",)


def test_lines_that_come_back_from_a_record_need_no_more_than_that(project: Project) -> None:
    path = flow(project, "return [xs, ys]", {"xs": "${inputs.x}", "ys": "${echo.output}"})
    lines = [replace(line, outputs={}, notes=()) for line in run_lines(path, [{"x": 1}, {"x": 2}])]
    assert asyncio.run(FlowRunner(load_flow(path)).aggregate(lines)).nodes[0].output == [[1, 2], [1, 2]]
