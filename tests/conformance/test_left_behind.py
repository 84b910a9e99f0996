"""What a run leaves in a project: its records, for their owner alone, and no litter."""

from __future__ import annotations

from pathlib import Path

import pytest

from .case import CASES, load
from .running import Project


@pytest.fixture
def project(tmp_path: Path, endpoint: str) -> Path:
    """A project after a run with several nodes and an aggregation."""
    case = load(CASES / "aggregation" / "chain")
    project = Project(case, tmp_path / "chain", endpoint)
    assert project.take(case.steps[0], 1).exit == 0
    return project.folder


def test_nobody_else_reads_the_records(project: Path) -> None:
    assert (project / ".pilothouse").stat().st_mode & 0o077 == 0


def test_a_run_leaves_no_lock_files(project: Path) -> None:
    assert [path for path in project.rglob("*") if "lock" in path.name] == []
