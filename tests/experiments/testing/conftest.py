"""A project with tests of evaluations in it, and pytest to run them: a process of its own, warnings are errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROWS = 60

OTHERS_OFF = tuple(
    word
    for plugin in ("anyio", "cacheprovider", "hypothesispytest", "pytest_cov", "schemathesis", "xdist")
    for word in ("-p", f"no:{plugin}")
)
"""Plugins that are installed here and take seconds to start."""

FLOW = """\
def answer(question: str) -> str:
    return question.split()[-1]
"""

EXPERIMENT = """\
name: file
flow: flow
data: data/qa.jsonl
evaluators:
  - use: exact_match
    column_mapping: {prediction: '${run.outputs.output}', truth: '${data.truth}'}
gate: {metrics: {exact_match: {at_least: 0.8}}}
"""


class Inner:
    """What an inner run of pytest gave: its text, its exit code, and every test's outcome, text and properties."""

    def __init__(self, done: subprocess.CompletedProcess[str], xml: Path) -> None:
        self.text = done.stdout + done.stderr
        self.code = done.returncode
        self.cases: dict[str, tuple[str, str]] = {}
        self.properties: dict[str, dict[str, str]] = {}
        for case in ET.parse(xml).getroot().iter("testcase"):
            problem = next((item for item in case if item.tag in {"failure", "error", "skipped"}), None)
            outcome = "passed" if problem is None else problem.tag
            said = "" if problem is None else f"{problem.get('message')}\n{problem.text}"
            name = case.get("name") or ""
            self.cases[name] = (outcome, said)
            self.properties[name] = {item.get("name") or "": item.get("value") or "" for item in case.iter("property")}


def make_project(root: Path) -> Callable[..., Inner]:
    """Write the project and return what runs pytest in it."""
    (root / "data").mkdir(parents=True)
    (root / "flow").mkdir()
    lines = [{"id": f"q{n}", "question": f"what is {n}", "truth": str(n), "the place": n % 2} for n in range(ROWS)]
    (root / "data" / "qa.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "pilothouse.yaml").write_text("{}\n")
    (root / "flow" / "flow.flex.yaml").write_text("entry: f:answer\n")
    (root / "flow" / "f.py").write_text(FLOW)
    (root / "experiment.yaml").write_text(EXPERIMENT)
    xml = root / "junit.xml"

    def run(*options: str) -> Inner:
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "-W", "error", *OTHERS_OFF, f"--junitxml={xml}"]
        done = subprocess.run([*command, *options], cwd=root, capture_output=True, text=True, check=False)
        return Inner(done, xml)

    return run


@pytest.fixture
def inner(tmp_path: Path) -> Any:
    return make_project(tmp_path)
