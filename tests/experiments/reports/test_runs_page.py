"""The page of runs: complete in itself, side by side, and inert whatever the runs hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import structs

from pilothouse.experiments.reports.runs import runs_page
from pilothouse.experiments.runs.types import Attempt, Counts, DataRef, FlowRef, Run, RunRow, RunSpec
from pilothouse.flows.results import ErrorInfo

from .conftest import HOSTILE

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def run(name: str, **more: object) -> Run:
    made = Run(
        id=f"01{name}",
        name=name,
        status="completed_with_errors",
        spec=RunSpec(flow="flows/x"),
        flow=FlowRef(name="x", path="flows/x", digest="d" * 64),
        data=DataRef(name="d", source="d.csv", digest="e" * 64, rows=3),
        counts=Counts(total=3, completed=2, failed=1),
        metrics={"accuracy": 0.5},
        attempts=(Attempt(number=1, started_at=NOW, ended_at=NOW, duration=2.0),),
        created_by="tester",
        created_at=NOW,
    )
    return structs.replace(made, **more)


def rows(answers: list[object]) -> list[RunRow]:
    made: list[RunRow] = []
    for number, answer in enumerate(answers):
        row = RunRow(line_id=f"r{number}", number=number, status="completed", inputs={"q": f"question {number}"})
        if answer is None:
            row = structs.replace(
                row, status="failed", error=ErrorInfo(type="ValueError", message="no answer", node="n")
            )
        else:
            row = structs.replace(row, outputs={"a": answer}, duration=0.1)
        made.append(row)
    return made


def page(**recorded: list[RunRow]) -> str:
    return runs_page([run(name) for name in recorded], lambda found: recorded[found.name], NOW).decode()


def test_one_run_is_one_page_that_loads_nothing() -> None:
    text = page(first=rows(["x", None, "z"]))
    assert text.count("<!doctype html>") == 1
    assert "<title>Run first</title>" in text
    assert "Content-Security-Policy" in text
    assert not re.search(r"(src|href)=.(https?:|//)", text)
    assert "rows.csv" not in text
    assert "no answer" in text
    assert "side by side" not in text


def test_several_runs_stand_side_by_side_and_tell_where_they_disagree() -> None:
    text = page(first=rows(["x", None, "z"]), second=rows(["x", "y", "Z"]), third=rows(["x"]))
    assert "3 runs side by side" in text
    assert "2 of 3 rows" in text
    assert text.count("no such row") == 2
    assert "Run</th>" in text
    assert "Variant" not in text


def test_what_differs_between_the_runs_is_marked_and_other_data_is_said() -> None:
    other = run("other", spec=RunSpec(flow="flows/x", tags={"team": "b"}), status="running")
    other = structs.replace(
        other, data=structs.replace(other.data or DataRef(name="", source="", digest="", rows=0), digest="f")
    )
    text = runs_page([run("base"), other], lambda _found: rows(["x"]), NOW).decode()
    assert "team = b" in text
    assert re.search(r"tags <span class=.tag.>differs", text)
    assert "not over the same data" in text
    assert "other has not ended yet" in text


def test_rows_beyond_the_most_are_counted() -> None:
    text = runs_page([run("base")], lambda _found: rows([str(number) for number in range(9)]), NOW, 4).decode()
    assert text.count("<tr role=") == 4
    assert "5 more are not here" in text


def test_hostile_text_is_only_text() -> None:
    recorded = rows(list(HOSTILE))
    named = run(
        "base", spec=RunSpec(flow="flows/x", display_name=HOSTILE[1], tags={HOSTILE[0]: HOSTILE[2]}), notes=HOSTILE
    )
    text = runs_page([named], lambda _found: recorded, NOW).decode()
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "onload=alert" not in re.sub(r"&lt;.*?&gt;", "", text)
    assert "\u202e" not in text
