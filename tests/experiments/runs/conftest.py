"""A project with small flows of its own, and the service of its runs."""

from __future__ import annotations

import asyncio
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Place, Run, RunRow, RunSpec
from pilothouse.workspace import Workspace

PAIR_FLOW = {
    "flow.dag.yaml": """
        inputs:
          x: {type: int}
        outputs:
          y: {type: int, reference: "${double.output}"}
        nodes:
          - name: double
            type: python
            source: {type: code, path: double.py}
            inputs: {x: "${inputs.x}"}
          - name: check
            type: python
            aggregation: true
            source: {type: code, path: check.py}
            inputs: {xs: "${inputs.x}", ys: "${double.output}"}
    """,
    "double.py": """
        from pathlib import Path
        from pilothouse import tool

        @tool
        def double(x: int) -> int:
            broken = Path(__file__).parents[2] / "broken.txt"
            if broken.exists() and str(x) in broken.read_text().split():
                raise ValueError(f"no answer for {x}")
            return 2 * x
    """,
    "check.py": """
        from pilothouse import log_metric, tool

        @tool
        def check(xs: list, ys: list):
            log_metric("rows", len(xs))
            log_metric("mismatched", sum(y != 2 * x for x, y in zip(xs, ys)))
            log_metric("in_order", xs == sorted(xs))
            log_metric("weighted", sum((place + 1) * y for place, y in enumerate(ys)))
    """,
}
"""y = 2 x, fails for the numbers in `broken.txt`; its metrics tell whether lists belong together and are in order."""

JUDGE_FLOW = {
    "flow.dag.yaml": """
        inputs:
          truth: {type: int}
          answer: {type: int}
        outputs:
          right: {type: bool, reference: "${judge.output}"}
        nodes:
          - name: judge
            type: python
            source: {type: code, path: judge.py}
            inputs: {truth: "${inputs.truth}", answer: "${inputs.answer}"}
          - name: share
            type: python
            aggregation: true
            source: {type: code, path: share.py}
            inputs: {rights: "${judge.output}"}
    """,
    "judge.py": """
        from pilothouse import tool

        @tool
        def judge(truth: int, answer: int) -> bool:
            return answer == 2 * truth
    """,
    "share.py": """
        from pilothouse import log_metric, tool

        @tool
        def share(rights: list):
            log_metric("accuracy", sum(rights) / len(rights))
    """,
}

ASK_FLOW = {
    "flow.dag.yaml": """
        inputs:
          question: {type: string}
        outputs:
          answer: {type: string, reference: "${ask.output}"}
        nodes:
          - name: ask
            type: llm
            source: {type: code, path: ask.jinja2}
            connection: scripted
            api: chat
            inputs: {model: scripted, question: "${inputs.question}"}
    """,
    "ask.jinja2": "user:\n{{question}}\n",
}


class Project:
    """A project folder, its services, and short ways to run things in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pilothouse.yaml").write_text("")
        self.workspace = Workspace(root)

    def reopen(self) -> None:
        self.workspace.close()
        self.workspace = Workspace(self.root)

    @property
    def runs(self) -> RunService:
        return self.workspace.get(RunService)

    def flow(self, name: str, files: Mapping[str, str]) -> str:
        folder = self.root / "flows" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(textwrap.dedent(text))
        return f"flows/{name}"

    def data(self, rows: Sequence[Mapping[str, Any]], name: str = "data.jsonl") -> str:
        (self.root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return name

    def broken(self, *numbers: int) -> None:
        (self.root / "broken.txt").write_text(" ".join(map(str, numbers)))

    def spec(self, flow: str = "pair", rows: int = 10, **more: Any) -> RunSpec:
        if flow == "pair":
            self.flow("pair", PAIR_FLOW)
            if "data" not in more:
                more["data"] = self.data([{"x": number} for number in range(rows)])
        return RunSpec(flow=f"flows/{flow}", **more)

    def run(self, spec: RunSpec, **more: Any) -> Run:
        return asyncio.run(self.runs.execute(spec, **more))

    def resume(self, ref: str, **more: Any) -> Run:
        where = {name: more.pop(name) for name in ("isolation", "compute", "workers") if name in more}
        return asyncio.run(self.runs.resume(ref, place=Place(**where), **more))

    def rows(self, run: Run, **more: Any) -> list[RunRow]:
        return list(self.runs.rows(run, **more))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root)
    yield made
    made.workspace.close()
