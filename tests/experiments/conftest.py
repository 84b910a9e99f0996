"""A small project with a scripted model: three variants of one node, forty rows, a judge.

The model's answers follow from the text: `zero` fails on tricky rows, `few` gets them right, `strict` answers nonsense
on some. Every row that is really run is counted in `calls.log`.
"""

from __future__ import annotations

import asyncio
import csv
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pilothouse.core.storage.sql import Database
from pilothouse.experiments.runs.compute.link import RayLink
from pilothouse.experiments.runs.compute.types import RAY
from pilothouse.experiments.service import ExperimentService, Finding

FLOW = """\
inputs:
  text: {type: string}
outputs:
  label: {type: string, reference: '${read.output}'}
nodes:
  - name: classify
    use_variants: true
  - name: read
    type: python
    source: {type: code, path: read.py}
    inputs: {answer: '${classify.output}'}
node_variants:
  classify:
    default_variant_id: zero
    variants:
"""

VARIANT = """\
      {name}:
        node:
          type: llm
          source: {{type: code, path: {name}.jinja2}}
          connection: scripted
          api: chat
          inputs: {{model: tiny, temperature: 0, text: '${{inputs.text}}'}}
"""

READ = """\
from pathlib import Path

from pilothouse import tool


@tool
def read(answer: str) -> str:
    with Path(__file__).parents[2].joinpath("calls.log").open("a") as log:
        log.write(answer + "\\n")
    return answer.strip().lower()
"""

SCRIPT = """\
- {when: 'boom', error: 400}
- {when: '^zero.*tricky', reply: ham}
- {when: '^strict.*odd', reply: neither}
- {when: 'tricky|prize', reply: Spam}
- {reply: ham}
"""

JUDGES = """\
def length(label):
    return len(label)
"""

EXPERIMENT = """\
name: sms
description: Which way of asking is best?
flow: flows/sms
data: data/sms.csv
column_mapping:
  text: ${data.text}
baseline: zero
evaluators:
  - name: label
    use: classification
    column_mapping:
      prediction: ${run.outputs.label}
      truth: ${data.label}
primary: accuracy
resamples: 400
concurrency: 4
"""

TEXTS = [("hello friend", "ham"), ("a prize for you", "spam"), ("tricky offer", "spam"), ("odd remark", "ham")]


class Project:
    """The project on disk, and what is done with it."""

    def __init__(self, root: Path, services: Any) -> None:
        self.root = root
        self.services = services
        self.file = root / "experiment.yaml"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def data(self, rows: list[tuple[str, str]]) -> None:
        path = self.write("data/sms.csv", "")
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])

    @property
    def experiments(self) -> ExperimentService:
        return self.services.get(ExperimentService)

    @property
    def database(self) -> Database:
        return self.services.get(Database)

    def run(self, **options: Any) -> Finding:
        return asyncio.run(self.experiments.run(self.file, **options))

    def calls(self) -> int:
        """Rows of the flow that were really run so far."""
        log = self.root / "calls.log"
        return len(log.read_text().splitlines()) if log.exists() else 0


class MakeFlow(Protocol):
    def __call__(self, *variants: str) -> None: ...


@pytest.fixture
def project(services: Any) -> Project:
    made = Project(services.root, services)
    made.write(
        "flows/sms/flow.dag.yaml", FLOW + "".join(VARIANT.format(name=name) for name in ("zero", "few", "strict"))
    )
    for name in ("zero", "few", "strict"):
        made.write(f"flows/sms/{name}.jinja2", f"system:\nSort messages.\n\nuser:\n{name}: {{{{text}}}}\n")
    made.write("flows/sms/read.py", READ)
    made.write("script.yaml", SCRIPT)
    made.write("connections/scripted.yaml", "name: scripted\ntype: scripted\nscript: script.yaml\nmodel: tiny\n")
    made.write("judges.py", JUDGES)
    made.write("experiment.yaml", EXPERIMENT)
    made.data([(f"{text} {number}", label) for number in range(10) for text, label in TEXTS])
    return made


Edit = Callable[[str, str, str], None]


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """One real Ray of this machine for the whole session, with room for two workers."""
    link = RayLink()
    # Ray leaves files open and calls what is deprecated: no matter of ours, and reported wherever it happens to fall.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield asyncio.run(link.connect(RAY, 2))
        link.close()
