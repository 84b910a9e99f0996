"""Pipelines: each is written once, parses, and its shell lines run here as its CI server would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.yaml import load_yaml
from pilothouse.experiments.gates.pipelines.writing import SERVERS, TARGETS

from .conftest import error_of

GATE = "variant: few\nmetrics: {accuracy: {at_least: 0.7}}"


def scripts(server: str, path: Path) -> list[str]:
    """Return the shell steps of a pipeline, in order."""
    if server == "jenkins":
        return re.findall(r"sh '''\n(.*?)'''", path.read_text(), re.DOTALL)
    data = load_yaml(path).data
    steps = data["jobs"]["gate"]["steps"] if server == "github" else data.get("steps")
    if server == "gitlab":
        return list(data["gate"]["script"])
    return [step[key] for step in steps for key in ("run", "script") if key in step]


def run(root: Path, lines: list[str], summary: Path) -> list[int]:
    """Run steps as a CI server does, each in a shell of its own; `pip` is a stand-in that notes what was wanted."""
    bin_ = root / "bin"
    bin_.mkdir(exist_ok=True)
    stand_in = bin_ / "python"
    stand_in.write_text(
        f'#!/bin/sh\nif [ "$2" = pip ]; then echo "$@" >> pip.log; else exec {sys.executable} "$@"; fi\n'
    )
    stand_in.chmod(0o755)
    env = {
        "PATH": f"{bin_}:{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(root),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    return [
        subprocess.run(["bash", "-e", "-c", line], cwd=root, env=env, capture_output=True, check=False).returncode
        for line in lines
    ]


@pytest.mark.parametrize("server", SERVERS)
def test_the_steps_of_a_pipeline_run(project: Any, gated: Any, call: Any, server: str) -> None:
    gated(GATE)
    project.write("pilothouse.yaml", "{}\n")
    written = call("init", "--for", server)
    assert written.exception is None
    path = project.root / written.stdout.strip()
    assert path == project.root / TARGETS[server]  # type: ignore[index]
    steps = scripts(server, path)
    assert len(steps) == (4 if server in {"github", "azure"} else 3)
    summary = project.root / "summary.md"
    assert run(project.root, steps, summary) == [0] * len(steps)
    assert (project.root / "pip.log").read_text() == "-m pip install pilothouse\n"
    assert (project.root / "gate.xml").read_text().startswith("<?xml")
    assert (project.root / "gate.md").read_text().startswith("## The gate passes")
    if server == "github":
        assert summary.read_text() == (project.root / "gate.md").read_text()
        project.edit("experiment.yaml", "at_least: 0.7", "at_least: 0.7, at_most: 0.71")
        assert run(project.root, steps, summary) == [0, 0, 1, 0]
        project.data([("boom", "spam"), *[(f"hello {number}", "ham") for number in range(30)]])
        project.edit("experiment.yaml", ", at_most: 0.71", "")
        assert run(project.root, steps, summary) == [0, 0, 0, 0]


def test_nothing_is_overwritten_and_what_cannot_be_written_is_said(project: Any, gated: Any, call: Any) -> None:
    assert "the experiment has no gate" in error_of(call("init", "--for", "gitlab"))
    gated(GATE)
    project.write(".gitlab-ci.yml", "mine: {}\n")
    assert "exists already" in error_of(call("init", "--for", "gitlab"))
    assert (project.root / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    assert "cannot stand in a pipeline" in error_of(call("init", "--for", "azure", "--experiment", "a'; rm -rf x"))
    assert "--install" in error_of(call("init", "--for", "azure", "--install", "a\nb"))
    project.write("requirements.txt", "pilothouse\n")
    call("init", "--for", "azure")
    assert "python -m pip install -r requirements.txt" in (project.root / "azure-pipelines.yml").read_text()
