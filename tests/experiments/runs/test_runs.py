"""Runs from beginning to end, on the real rooms."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from pilothouse.core.errors import Conflict, ConnectionFault, DataError, FlowError, NotFound, UserError
from pilothouse.experiments.runs.types import Counts, Progress, RunSpec
from pilothouse.registry.service import RegistryService
from pilothouse.tracing.service import TracingService
from pilothouse.tracing.types import TraceFilter

from .conftest import ASK_FLOW, PAIR_FLOW, Project


def test_every_row_is_recorded_and_aggregated(project: Project) -> None:
    run = project.run(project.spec(rows=300, name="first", tags={"who": "me"}))
    assert run.status == "completed"
    assert run.within_limit
    assert run.counts == Counts(total=300, completed=300)
    assert run.metrics == {
        "rows": 300,
        "mismatched": 0,
        "in_order": 1,
        "weighted": sum(2 * n * (n + 1) for n in range(300)),
    }
    rows = project.rows(run)
    assert [row.number for row in rows] == list(range(300))
    assert [row.outputs for row in rows] == [{"y": 2 * number} for number in range(300)]
    assert rows[7].inputs == {"x": 7}
    assert [node.node for node in rows[7].nodes] == ["double"]
    assert len({row.trace_id for row in rows}) == 300
    assert project.runs.get("first") == run
    assert project.runs.get("latest") == run
    assert project.runs.list() == [run]


def test_every_row_is_a_trace_that_names_its_run_and_its_line(project: Project) -> None:
    project.flow("ask", ASK_FLOW)
    data = project.data([{"key": "a", "question": "one"}, {"key": "b", "question": "two"}])
    run = project.run(project.spec("ask", data=data, id_column="key", experiment="trial"))
    tracing = project.workspace.get(TracingService)
    page = tracing.list(TraceFilter(run=run.name, experiment="trial"))
    assert {trace.head.trace_id for trace in page.traces} == {row.trace_id for row in project.rows(run)}
    for row in project.rows(run):
        spans = tracing.show(row.trace_id or "").spans
        assert [span.span.line for span in spans if span.span.parent_id is None] == [row.line_id]
        assert len(spans) == 3, "the row, its node, the model's call"


def test_a_record_is_enough_to_know_what_was_run(project: Project) -> None:
    run = project.run(project.spec(rows=3, column_mapping={"x": "${data.x}"}))
    assert run.column_mapping == {"x": "${data.x}"}
    assert len(run.flow.digest) == 64
    assert run.data is not None
    assert (run.data.source, run.data.rows, len(run.data.digest)) == ("data.jsonl", 3, 64)
    assert run.environment.keys() == {"pilothouse", "python", "platform", "isolation", "compute"}
    assert [attempt.status for attempt in run.attempts] == ["completed"]
    assert run.attempts[0].rows == 3


def test_the_same_spec_can_be_run_again(project: Project) -> None:
    first = project.run(project.spec(rows=3))
    again = project.run(project.runs.get(first.id).spec)
    assert first.name != again.name
    assert again.flow == first.flow
    assert again.data == first.data
    assert again.metrics == first.metrics


def test_lineage_leads_from_flow_and_data_to_the_run(project: Project) -> None:
    first = project.run(project.spec(rows=3, name="base"))
    project.run(project.spec(rows=3, name="second"))
    registry = project.workspace.get(RegistryService)
    edges = {(edge.source, edge.target, edge.relation) for edge in registry.lineage("run/base")}
    assert edges == {("flow/pair:1", "run/base:1", "input"), ("data-file/data:1", "run/base:1", "input")}
    assert first.flow.version == "flow/pair:1"
    assert len(registry.versions("flow", "pair")) == 1


def test_failed_rows_keep_their_error_and_the_others_finish(project: Project) -> None:
    project.broken(3, 7)
    run = project.run(project.spec(rows=10))
    assert run.status == "completed_with_errors"
    assert not run.within_limit
    assert run.counts == Counts(total=10, completed=8, failed=2)
    assert run.metrics["rows"] == 8
    assert "metrics are over 8 of 10 rows; the others have no answer" in run.notes
    failed = project.rows(run, status="failed")
    assert [row.line_id for row in failed] == ["3", "7"]
    error = failed[0].error
    assert error is not None
    assert (error.type, error.node, error.message) == ("ValueError", "double", "no answer for 3")
    assert "double.py" in (error.traceback or "")
    assert failed[0].inputs == {"x": 3}


def test_failures_can_be_accepted_up_to_a_number(project: Project) -> None:
    project.broken(3, 7)
    assert project.run(project.spec(max_failures=2)).within_limit
    assert not project.run(project.spec(max_failures=1)).within_limit


def test_a_run_whose_rows_all_fail_has_failed(project: Project) -> None:
    project.broken(0, 1, 2)
    run = project.run(project.spec(rows=3, max_failures=100))
    assert run.status == "failed"
    assert not run.within_limit
    assert run.metrics == {}


def test_a_column_that_no_row_has_is_one_error_before_anything_is_recorded(project: Project) -> None:
    data = project.data([{"y": number} for number in range(5)])
    with pytest.raises(DataError, match=r"no row can be mapped \(of 5 looked at\).*\$\{data.x\}"):
        project.run(project.spec(data=data))
    assert project.runs.list() == []


def test_a_row_without_its_column_fails_alone(project: Project) -> None:
    data = project.data([{"x": 0}, {"z": 1}, {"x": 2}])
    run = project.run(project.spec(data=data))
    assert run.counts == Counts(total=3, completed=2, failed=1)
    error = project.rows(run)[1].error
    assert error is not None
    assert "${data.x}" in error.message


def test_data_with_no_rows_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match="no row"):
        project.run(project.spec(data=project.data([])))


def test_a_value_of_the_wrong_type_fails_its_row_alone(project: Project) -> None:
    run = project.run(project.spec(data=project.data([{"x": 1}, {"x": "many"}])))
    assert run.counts == Counts(total=2, completed=1, failed=1)


def test_repeated_rows_are_lines_of_their_own(project: Project) -> None:
    run = project.run(project.spec(rows=4, repeat=3))
    rows = project.rows(run)
    assert run.counts.total == run.counts.completed == 12
    assert [row.key for row in rows] == [(str(number), repeat) for number in range(4) for repeat in range(3)]
    assert run.metrics["rows"] == 12
    assert run.metrics["mismatched"] == 0


def test_a_limit_takes_the_first_rows(project: Project) -> None:
    run = project.run(project.spec(rows=50, limit=5))
    assert run.counts == Counts(total=5, completed=5)
    assert [row.number for row in project.rows(run)] == list(range(5))


def test_rows_can_be_named_by_a_column(project: Project) -> None:
    data = project.data([{"x": 1, "key": "b"}, {"x": 2, "key": "a"}])
    run = project.run(project.spec(data=data, id_column="key"))
    assert [row.line_id for row in project.rows(run)] == ["b", "a"]


def test_a_name_is_used_once(project: Project) -> None:
    project.run(project.spec(rows=1, name="taken"))
    with pytest.raises(Conflict, match="run resume taken"):
        project.run(project.spec(rows=1, name="taken"))
    assert len(list((project.workspace.state / "runs").iterdir())) == 1


def test_mapping_keys_that_are_no_inputs_are_told(project: Project) -> None:
    run = project.run(project.spec(rows=2, column_mapping={"xx": "${data.x}"}))
    assert any("'xx'" in note and "did you mean 'x'" in note for note in run.notes)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"flow": "flows/none"}, NotFound),
        ({"data": "none.jsonl"}, NotFound),
        ({"data": None}, UserError),
        ({"variants": {"none": "v"}}, FlowError),
        ({"source_run": "none"}, NotFound),
        ({"column_mapping": {"x": "${nothing.x}"}}, DataError),
        ({"column_mapping": {"x": 1}}, DataError),
        ({"concurrency": 0}, UserError),
        ({"repeat": 0}, UserError),
        ({"limit": 0}, UserError),
        ({"timeout": 0.0}, UserError),
        ({"max_failures": -1}, UserError),
        ({"name": "../../x"}, UserError),
    ],
)
def test_what_cannot_be_run_is_refused_and_not_recorded(
    project: Project, change: dict[str, Any], error: type[Exception]
) -> None:
    base: dict[str, Any] = {"flow": project.flow("pair", PAIR_FLOW), "data": project.data([{"x": 1}])}
    with pytest.raises(error):
        project.run(RunSpec(**{**base, **change}))
    assert project.runs.list() == []


def test_a_missing_connection_is_told_before_anything_is_recorded(project: Project) -> None:
    text = ASK_FLOW["flow.dag.yaml"].replace("connection: scripted", "connection: nowhere")
    project.flow("ask", {**ASK_FLOW, "flow.dag.yaml": text})
    with pytest.raises(ConnectionFault, match="nowhere"):
        project.run(project.spec("ask", data=project.data([{"question": "?"}])))
    assert project.runs.list() == []


def test_model_rows_count_tokens_and_unknown_prices(project: Project) -> None:
    project.flow("ask", ASK_FLOW)
    data = project.data([{"question": f"what is {number}"} for number in range(20)])
    run = project.run(project.spec("ask", data=data))
    assert run.counts == Counts(total=20, completed=20)
    assert run.totals.usage.input_tokens > 0
    assert run.totals.cost is None
    assert run.totals.unpriced == 20
    assert (run.cache.hits, run.cache.misses) == (0, 20)


def test_a_second_run_takes_what_did_not_change_from_the_cache(project: Project) -> None:
    project.flow("ask", ASK_FLOW)
    spec = project.spec("ask", data=project.data([{"question": f"what is {number}"} for number in range(20)]))
    first = project.run(spec)
    data = project.data([{"question": f"what is {number}"} for number in range(25)])
    second = project.run(project.spec("ask", data=data))
    assert second.counts == Counts(total=25, completed=25, cached=20)
    assert (second.cache.hits, second.cache.misses) == (20, 5)
    assert second.totals.cached_usage == first.totals.usage
    assert [row.outputs for row in project.rows(second)][:20] == [row.outputs for row in project.rows(first)]
    fresh = project.run(project.spec("ask", data=data, use_cache=False))
    assert fresh.counts.cached == 0
    assert fresh.totals.usage.total_tokens == second.totals.usage.total_tokens + second.totals.cached_usage.total_tokens


def test_known_prices_are_summed_and_what_the_cache_saved_is_told_apart(project: Project) -> None:
    (project.root / "pilothouse.yaml").write_text("models: {prices: [{model: scripted, input: 1.0, output: 10.0}]}\n")
    project.reopen()
    project.flow("ask", ASK_FLOW)
    spec = project.spec("ask", data=project.data([{"question": f"what is {number}"} for number in range(20)]))
    first = project.run(spec)
    used = first.totals.usage
    expected = (used.input_tokens + Decimal(10) * used.output_tokens) / 1_000_000
    assert first.totals.cost == expected
    assert (first.totals.cached_cost, first.totals.unpriced) == (None, 0)
    assert sum((row.cost or 0 for row in project.rows(first)), Decimal(0)) == expected
    second = project.run(spec)
    assert (second.totals.cost, second.totals.cached_cost) == (None, expected)


def test_a_run_is_recorded_alike_on_either_database(project: Project, database_url: str) -> None:
    (project.root / "pilothouse.yaml").write_text(f"storage: {{database: '{database_url}'}}\n")
    project.reopen()
    project.flow("ask", ASK_FLOW)
    spec = project.spec("ask", data=project.data([{"question": f"what is {number}"} for number in range(20)]))
    runs = [project.run(spec), project.run(spec)]
    assert [run.counts.cached for run in runs] == [0, 20]
    assert project.runs.list() == runs[::-1]
    assert project.run(project.spec(rows=5, name="other")).metrics["rows"] == 5


def test_progress_is_shown_and_ends_with_the_whole(project: Project) -> None:
    seen: list[Progress] = []
    run = project.run(project.spec(rows=500), on_progress=seen.append)
    assert seen[-1].phase == "done"
    assert seen[-1].counts == run.counts
    assert all(before.counts.done <= after.counts.done for before, after in pairwise(seen))


def test_metrics_that_are_no_numbers_are_told_and_left_out(project: Project) -> None:
    check = """
        from pilothouse import log_metric, tool

        @tool
        def check(xs: list, ys: list):
            log_metric("good", 1)
            log_metric("bad", float("nan"))
    """
    spec = project.spec(rows=2)
    project.flow("pair", {"check.py": check})
    run = project.run(spec)
    assert run.metrics == {"good": 1}
    assert "the metric 'bad' is nan and was not kept" in run.notes


def test_a_failing_aggregation_keeps_the_rows_and_is_an_error(project: Project) -> None:
    spec = project.spec(rows=2)
    project.flow("pair", {"check.py": PAIR_FLOW["check.py"].replace('log_metric("rows", len(xs))', "1 / 0")})
    run = project.run(spec)
    assert run.status == "completed_with_errors"
    assert not run.within_limit
    assert run.error is not None
    assert run.error.node == "check"
    assert run.counts.completed == 2


def test_values_without_json_form_reach_the_record(project: Project) -> None:
    double = """
        from pilothouse import tool

        @tool
        def double(x: int):
            return float("nan") if x == 1 else {1, 2} if x == 2 else x
    """
    spec = project.spec(rows=3)
    project.flow("pair", {"double.py": double})
    rows = project.rows(project.run(spec))
    assert math.isnan(rows[1].outputs["y"])
    assert rows[2].outputs["y"] == [1, 2]


def test_two_runs_in_one_loop_do_not_mix(project: Project) -> None:
    spec = project.spec(rows=100)

    async def both() -> None:
        runs = await asyncio.gather(project.runs.execute(spec), project.runs.execute(spec))
        assert [run.counts.completed for run in runs] == [100, 100]
        assert runs[0].metrics == runs[1].metrics

    asyncio.run(both())


def test_a_deleted_run_is_gone(project: Project) -> None:
    run = project.run(project.spec(rows=2, name="short"))
    folder = project.workspace.state / "runs" / run.id
    assert folder.exists()
    project.runs.delete("short")
    assert not folder.exists()
    with pytest.raises(NotFound):
        project.runs.get("short")
