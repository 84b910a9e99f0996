"""A new run that keeps the completed rows of another one; that one stays as it is."""

from __future__ import annotations

import msgspec
import pytest

from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.experiments.runs.records import kept_row
from pilothouse.experiments.runs.types import Run, RunRow, RunSpec
from pilothouse.models.types import Usage

from .conftest import ASK_FLOW, JUDGE_FLOW, PAIR_FLOW, Project


def again(project: Project, source: Run, **changes: object) -> RunSpec:
    return msgspec.structs.replace(source.spec, **{"name": None, **changes})


def broken_run(project: Project, **more: object) -> Run:
    spec = project.spec(rows=10, name="base", **more)
    project.broken(3, 7)
    ended = project.run(spec)
    project.broken()
    return ended


def test_only_rows_without_an_answer_run_and_the_aggregation_is_over_all(project: Project) -> None:
    base = broken_run(project)
    before = project.rows(base)
    made = project.run(again(project, base, name="more"), resume_from="base")
    assert (made.name, made.status, made.resumed_from) == ("more", "completed", base.id)
    assert made.metrics == {
        "rows": 10,
        "mismatched": 0,
        "in_order": 1,
        "weighted": sum(2 * x * (x + 1) for x in range(10)),
    }
    rows = project.rows(made)
    assert [row.outputs["y"] for row in rows] == [2 * x for x in range(10)]
    assert [row.line_id for row in rows if row.attempt == 1] == ["3", "7"]
    assert made.attempts[-1].rows == 2
    assert "8 completed rows were kept from the run 'base'" in made.notes
    assert project.runs.get("base") == base
    assert project.rows(base) == before


def test_a_completed_run_is_aggregated_again_and_nothing_runs(project: Project) -> None:
    base = project.run(project.spec(rows=5, name="base"))
    project.broken(0, 1, 2, 3, 4)
    made = project.run(again(project, base), resume_from="base")
    assert (made.status, made.metrics) == ("completed", base.metrics)
    assert made.attempts[-1].rows == 0


def test_more_or_fewer_rows_than_the_old_run_had(project: Project) -> None:
    base = project.run(project.spec(rows=50, name="base", limit=20))
    made = project.run(again(project, base, limit=None), resume_from=base.id)
    assert (made.status, made.counts.completed, made.attempts[-1].rows) == ("completed", 50, 30)
    fewer = project.run(again(project, base, limit=5), resume_from=base.id)
    assert (fewer.status, fewer.counts.total, fewer.counts.completed) == ("completed", 5, 5)


def test_the_new_run_can_itself_fail_be_resumed_and_be_kept_from(project: Project) -> None:
    base = broken_run(project)
    project.broken(7)
    second = project.run(again(project, base, name="second"), resume_from="base")
    assert (second.status, second.counts.failed) == ("completed_with_errors", 1)
    project.broken()
    third = project.run(again(project, base, name="third"), resume_from="second")
    assert (third.status, third.attempts[-1].rows) == ("completed", 1)
    resumed = project.resume("second")
    assert (resumed.status, resumed.metrics) == ("completed", third.metrics)


def test_a_changed_flow_is_refused_and_by_force_noted(project: Project) -> None:
    base = broken_run(project)
    project.flow("pair", {"double.py": PAIR_FLOW["double.py"] + "\n        # mended\n"})
    with pytest.raises(Conflict, match="the flow flows/pair changed"):
        project.run(again(project, base), resume_from="base")
    made = project.run(again(project, base), resume_from="base", force=True)
    assert made.status == "completed"
    assert any("rows were kept by force though the flow flows/pair changed" in note for note in made.notes)


def test_other_choices_are_refused(project: Project) -> None:
    base = broken_run(project)
    with pytest.raises(Conflict, match="the column mapping differs"):
        project.run(again(project, base, column_mapping={"x": 5}), resume_from="base")
    with pytest.raises(Conflict, match="the environment variables differ"):
        project.run(again(project, base, environment_variables={"A": "b"}), resume_from="base")
    with pytest.raises(Conflict, match="1 times"):
        project.run(again(project, base, repeat=3), resume_from="base", force=True)
    assert [run.name for run in project.runs.list()] == ["base"]


def test_rows_are_kept_by_their_ids_when_the_data_moved(project: Project) -> None:
    data = project.data([{"id": f"r{x}", "x": x} for x in range(6)])
    project.spec(rows=0)
    project.data([{"id": f"r{x}", "x": x} for x in range(6)])
    project.broken(1)
    base = project.run(RunSpec(flow="flows/pair", data=data, id_column="id", name="base"))
    project.broken(2, 4)
    project.data([{"id": "new", "x": 9}, *({"id": f"r{x}", "x": x} for x in (5, 4, 2, 1))])
    with pytest.raises(Conflict, match=r"the data data\.jsonl changed"):
        project.run(again(project, base), resume_from="base")
    made = project.run(again(project, base), resume_from="base", force=True)
    assert made.status == "completed"
    rows = project.rows(made)
    assert [(row.line_id, row.number, row.outputs["y"], row.attempt) for row in rows] == [
        ("new", 0, 18, 1),
        ("r5", 1, 10, 0),
        ("r4", 2, 8, 0),
        ("r2", 3, 4, 0),
        ("r1", 4, 2, 1),
    ]
    assert made.metrics["mismatched"] == 0


def test_an_evaluation_is_resumed_with_its_source_run(project: Project) -> None:
    base = broken_run(project)
    project.flow("judge", JUDGE_FLOW)
    mapping = {"truth": "${run.inputs.x}", "answer": "${run.outputs.y}"}
    judged = project.run(RunSpec(flow="flows/judge", source_run="base", column_mapping=mapping, name="judged"))
    assert judged.counts.missing == 2
    project.resume("base")
    made = project.run(again(project, judged, source_run=base.id), resume_from="judged")
    assert (made.status, made.metrics, made.source_run) == ("completed", {"accuracy": 1.0}, base.id)
    assert made.attempts[-1].rows == 2


def test_tokens_of_kept_rows_are_not_spent_again(project: Project) -> None:
    (project.root / "connections").mkdir()
    (project.root / "connections" / "scripted.yaml").write_text(
        "name: scripted\ntype: scripted\nscript: answers.yaml\n"
    )
    (project.root / "answers.yaml").write_text("- reply: yes indeed\n")
    project.flow("ask", ASK_FLOW)
    data = project.data([{"question": f"is {x} a number?"} for x in range(4)])
    base = project.run(RunSpec(flow="flows/ask", data=data, name="base", limit=3, use_cache=False))
    assert base.totals.usage.total_tokens > 0
    made = project.run(again(project, base, limit=None), resume_from="base")
    assert made.totals.cached_usage == base.totals.usage
    assert 0 < made.totals.usage.total_tokens < base.totals.usage.total_tokens


def test_a_kept_row_says_what_it_once_cost() -> None:
    row = RunRow(line_id="a", number=3, status="completed", usage=Usage(input_tokens=5), unpriced=1, attempt=2)
    kept = kept_row(row, 1)
    assert (kept.number, kept.attempt, kept.unpriced) == (1, 0, 0)
    assert (kept.usage, kept.cached_usage) == (Usage(), Usage(input_tokens=5))


def test_a_name_that_is_taken_and_a_run_that_is_missing(project: Project) -> None:
    base = broken_run(project)
    with pytest.raises(Conflict, match="named 'base' already"):
        project.run(base.spec, resume_from="base")
    folders = list((project.workspace.state / "runs").iterdir())
    assert [folder.name for folder in folders] == [base.id]
    with pytest.raises(NotFound):
        project.run(again(project, base), resume_from="none")
    with pytest.raises(UserError):
        project.run(again(project, base, flow="flows/none"), resume_from="base")


def test_a_run_that_is_worked_on_is_not_resumed(project: Project) -> None:
    base = broken_run(project)
    with project.runs._held(base):
        project.runs._store.change(base.id, lambda run: msgspec.structs.replace(run, status="running"))
        with pytest.raises(Conflict, match="has not ended yet"):
            project.run(again(project, base), resume_from="base")
