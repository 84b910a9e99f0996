"""A small project on disk and the real command over it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "pilothouse"]

FILES = {
    "pilothouse.yaml": "{}\n",
    "connections/scripted.yaml": "name: scripted\ntype: scripted\nscript: answers.yaml\n",
    "answers.yaml": "- when: slow\n  reply: shipping\n  delay: 30\n- when: parcel\n  reply: shipping\n- reply: other\n",
    "flows/support/flow.dag.yaml": """\
inputs:
  question:
    type: string
outputs:
  team:
    type: string
    reference: ${route.output}
nodes:
  - name: ask
    type: llm
    source: {type: code, path: ask.jinja2}
    connection: scripted
    api: chat
    inputs: {model: scripted, question: "${inputs.question}"}
  - name: route
    type: python
    source: {type: code, path: route.py}
    inputs:
      answer: ${ask.output}
""",
    "flows/support/ask.jinja2": "user:\n{{question}}\n",
    "flows/support/route.py": """\
from pilothouse import tool


@tool
def route(answer: str) -> str:
    return answer.upper()
""",
    "data/questions.csv": "question,team\nwhere is my parcel,SHIPPING\nhello,OTHER\n",
    "experiment.yaml": """\
name: routing
flow: flows/support
data: data/questions.csv
variants: all
evaluators:
  - use: classification
    name: team
    column_mapping:
      prediction: ${run.outputs.team}
      truth: ${data.team}
""",
}

Call = Callable[..., "subprocess.CompletedProcess[str]"]


class Project:
    """The project's folder and its command line."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str | bytes) -> Path:
        """Put a file into the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def change(self, name: str, old: str, new: str) -> None:
        """Replace the one place of a file where ``old`` stands."""
        text = (self.root / name).read_text()
        assert text.count(old) == 1, name
        self.write(name, text.replace(old, new))

    def call(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.root,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.root,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the child's environment: nothing of the user's own settings."""
        return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(self.root / "home"), "COLUMNS": "200", **variables}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    for name, text in FILES.items():
        made.write(name, text)
    return made
