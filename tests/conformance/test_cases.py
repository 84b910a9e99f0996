"""Every case of `cases/` gives what its file says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .case import CASES, Case, load, load_all
from .checking import complaints
from .running import Project


@pytest.mark.parametrize("case", load_all(), ids=lambda case: case.id)
def test_the_case(case: Case, tmp_path: Path, endpoint: str) -> None:
    project = Project(case, tmp_path / case.folder.name, endpoint)
    for number, step in enumerate(case.steps, 1):
        wrong = complaints(step, project.take(step, number), project.folder)
        if step.xfail is None:
            assert not wrong, f"step {number}: " + "\n".join(wrong)
        elif not wrong:
            pytest.fail(f"step {number} works now: take its xfail away ({step.xfail})")
        else:
            pytest.xfail(step.xfail)


@pytest.mark.parametrize("name", ["aggregation/lists", "kinds/flex", "llm/tools", "python/surroundings"])
def test_a_process_of_its_own_gives_the_same(name: str, tmp_path: Path, endpoint: str) -> None:
    case = load(CASES / name)
    project = Project(case, tmp_path / case.folder.name, endpoint, is_process=True)
    for number, step in enumerate(case.steps, 1):
        assert complaints(step, project.take(step, number), project.folder) == []


def test_a_case_leaves_nothing_behind(tmp_path: Path, endpoint: str) -> None:
    """What one project imports must not answer in the next."""
    modules, path = set(sys.modules), list(sys.path)
    for case in load_all()[:10]:
        project = Project(case, tmp_path / case.id, endpoint)
        for number, step in enumerate(case.steps, 1):
            project.take(step, number)
    new = set(sys.modules) - modules
    assert not {name for name in new if name.partition(".")[0] in {"promptflow", "__pf_main__"}}
    assert not [n for n in new if str(getattr(sys.modules[n], "__file__", "")).startswith(str(tmp_path))]
    assert sys.path == path
