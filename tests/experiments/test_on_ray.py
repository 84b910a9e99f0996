"""An experiment on a real Ray with two workers, and in one process: the same rows, scores and comparison."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.runs.service import RunService

from .conftest import Project

pytestmark = pytest.mark.usefixtures("ray")


def rows(project: Project, finding: Any) -> list[list[str]]:
    """Return the rows of every arm without times and the ids of spans."""
    runs = project.services.get(RunService)
    found = []
    for arm in finding.record.runs:
        made = []
        for row in runs.rows(runs.get(arm.run)):
            nodes = tuple(msgspec.structs.replace(node, started_at=0, duration=0, span_id=None) for node in row.nodes)
            made.append(repr(msgspec.structs.replace(row, nodes=nodes, duration=0, ended_at=0, trace_id=None)))
        found.append(made)
    return found


FOUND = ("metrics", "comparisons", "outcome", "best", "verdict", "notes", "rows", "disagreements", "prompts")


def judged(finding: Any) -> dict[str, Any]:
    """Return what was found; when, in which runs and how fast is left out."""
    return {name: getattr(finding.comparison, name) for name in FOUND}


def test_an_experiment_finds_the_same_on_ray_and_in_one_process(project: Project) -> None:
    project.edit(
        "experiment.yaml", "baseline: zero", "baseline: zero\nvariants: ['${classify.zero}', '${classify.few}']"
    )
    here = project.run(fresh=True)
    there = project.run(fresh=True, overrides=Overrides(compute="ray", workers=2))
    assert here.record.digest == there.record.digest
    assert here.record.ref == there.record.ref
    service = project.services.get(RunService)
    places = [[service.get(arm.run).environment["compute"] for arm in item.record.runs] for item in (here, there)]
    assert places == [["local"] * 2, ["ray"] * 2]
    assert rows(project, here) == rows(project, there)
    assert judged(here) == judged(there)
    assert judged(here)["comparisons"]
    again = project.run()
    assert (again.rows_before, again.rows) == (80, 80), "what was answered on Ray is taken as it is"


def test_the_file_says_where_and_a_mistake_is_told_with_its_line(project: Project) -> None:
    project.edit("experiment.yaml", "concurrency: 4", "concurrency: 4\ncompute: rai")
    with pytest.raises(ConfigError, match=r"experiment\.yaml:17: 'rai' is no place to compute rows"):
        project.run()
