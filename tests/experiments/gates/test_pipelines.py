"""Pipelines: each is written once, parses, and its shell lines run here as its CI server would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest

from pilothouse.core.yaml import load_yaml
from pilothouse.experiments.gates.pipelines.writing import SERVERS, TARGETS, Server, write_pipeline

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


FLOW = """\
import hashlib

SEED, WRONG = {seed}, {wrong}


def label(text: str) -> str:
    drawn = hashlib.sha256(f"{{SEED}} {{text}}".encode()).digest()[0] / 256
    right = "spam" if "prize" in text else "ham"
    return {{"spam": "ham", "ham": "spam"}}[right] if drawn < WRONG else right
"""

EXPERIMENT = """\
name: sort
flow: flow
data: messages.csv
id_column: id
evaluators:
  - use: classification
    column_mapping: {prediction: '${run.outputs.output}', truth: '${data.label}'}
primary: accuracy
resamples: 400
gate:
  baseline: baselines/sort.json
  metrics: {accuracy: {at_least: 0.8}}
  regressions: {accuracy: {margin: 0.08}}
"""

ROWS = 400


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a flow, its gate, a blessed baseline in a file, and the pipeline of every server."""
    root = tmp_path_factory.mktemp("repository")
    texts = [("see you at six", "ham"), ("a prize for you", "spam")]
    rows = [f"m{n},{texts[n % 2][0]} {n},{texts[n % 2][1]}" for n in range(ROWS)]
    (root / "flow").mkdir()
    (root / "flow" / "flow.flex.yaml").write_text("entry: sort:label\n")
    (root / "flow" / "sort.py").write_text(FLOW.format(seed=0, wrong=0.05))
    (root / "messages.csv").write_text("\n".join(["id,text,label", *rows]) + "\n")
    (root / "experiment.yaml").write_text(EXPERIMENT)
    (root / "pilothouse.yaml").write_text("{}\n")
    (root / ".gitignore").write_text(".pilothouse/\nreports/\n")
    program = [sys.executable, "-m", "pilothouse", "experiment"]
    for words in (["run", "experiment.yaml"], ["bless", "sort:1", "--file", "baselines/sort.json"]):
        subprocess.run([*program, *words], cwd=root, check=True, capture_output=True)
    for server in SERVERS:
        write_pipeline(root, cast("Server", server), "experiment.yaml")
    git(root, "init", "--initial-branch", "main")
    git(root, "add", ".")
    git(root, "commit", "--message", "A flow and its gate")
    return root


class Branch:
    """A branch in a checkout of its own, as a CI server makes one: nothing of an earlier run is there."""

    def __init__(self, repository: Path, folder: Path, server: str) -> None:
        git(repository.parent, "clone", "--quiet", str(repository), str(folder))
        self.root = folder
        self.server = server

    def edit(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        git(self.root, "commit", "--all", "--message", "An edit")

    def steps(self) -> list[int]:
        """Run every step that has a shell line; return their exit codes, those of installing first."""
        return run(self.root, scripts(self.server, self.root / TARGETS[cast("Server", self.server)]), self.summary)

    @property
    def summary(self) -> Path:
        return self.root / "summary.md"

    @property
    def comment(self) -> str:
        return (self.root / "gate.md").read_text().replace("\\", "")


@pytest.mark.parametrize(("server", "seed"), [(server, seed) for seed, server in enumerate(SERVERS, start=1)])
def test_noise_passes_and_a_planted_regression_fails_with_its_reason(
    repository: Path, tmp_path: Path, server: str, seed: int
) -> None:
    after = [0] if server in {"github", "azure"} else []
    noise = Branch(repository, tmp_path / "noise", server)
    noise.edit("flow/sort.py", FLOW.format(seed=seed, wrong=0.05))
    assert noise.steps() == [0, 0, 0, *after], noise.comment
    assert (noise.root / "pip.log").read_text() == "-m pip install pilothouse\n"
    assert noise.comment.startswith("## The gate passes: sort:1 (default) against sort:1 (default): 2 pass")
    worse = Branch(repository, tmp_path / "worse", server)
    worse.edit("flow/sort.py", FLOW.format(seed=0, wrong=0.35))
    assert worse.steps() == [0, 0, 1, *after]
    assert worse.comment.startswith("## The gate FAILS")
    found = re.search(r"accuracy against the baseline, margin 0.08 \| (\S+) \[(\S+), (\S+)\] \| (.*) \|", worse.comment)
    assert found is not None, worse.comment
    difference, low, high = (float(text.replace("\u2212", "-")) for text in found.groups()[:3])
    assert low < difference < high < -0.08
    assert "interval of 400 pairs is a loss of more than 0.08 (McNemar exact, p < 0.001)" in found[4]
    rows = re.search(r"margin 0.08: rows (m\d+, .*) and (\d+) more", worse.comment)
    assert rows is not None
    # The rows that lost are those that the edited flow newly gets wrong, and no other.
    assert abs((len(rows[1].split(", ")) + int(rows[2])) / ROWS + difference) < 0.006
    xml = ET.parse(worse.root / "gate.xml").getroot()
    assert xml.get("failures") == "2"
    if server == "github":
        assert worse.summary.read_text() == (worse.root / "gate.md").read_text()


def test_too_few_rows_are_inconclusive_and_a_mistake_is_none(repository: Path, tmp_path: Path) -> None:
    branch = Branch(repository, tmp_path / "few", "gitlab")
    branch.edit("experiment.yaml", EXPERIMENT.replace("  metrics:", "  min_rows: 500\n  metrics:"))
    assert branch.steps() == [0, 0, 4]
    assert "only 400 rows, and the gate asks for 500" in branch.comment
    (branch.root / "gate.md").unlink()
    branch.edit("experiment.yaml", EXPERIMENT.replace("accuracy: {margin", "acuracy: {margin"))
    assert branch.steps() == [0, 2, 2]
    assert not (branch.root / "gate.md").exists()


def test_a_row_that_fails_ends_the_run_but_not_the_pipeline(repository: Path, tmp_path: Path) -> None:
    branch = Branch(repository, tmp_path / "failing", "jenkins")
    text = FLOW.format(seed=0, wrong=0.05).replace("    drawn", "    assert not text.endswith(' 7')\n    drawn")
    branch.edit("flow/sort.py", text)
    assert branch.steps() == [0, 0, 0], branch.comment


@pytest.mark.parametrize("server", SERVERS)
def test_init_writes_the_pipeline_of_a_server(project: Any, gated: Any, call: Any, server: str) -> None:
    gated(GATE)
    written = call("init", "--for", server)
    assert written.exception is None
    path = project.root / written.stdout.strip()
    assert path == project.root / TARGETS[cast("Server", server)]
    assert len(scripts(server, path)) == (4 if server in {"github", "azure"} else 3)


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
