"""A case: a small project, what is done with it, and what must come of it.

A case is a folder with a `case.yaml` beside the files of a user's project. See README.md for how to write one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from msgspec import Struct, convert, field

HERE = Path(__file__).parent
CASES = HERE / "cases"
SHARED = HERE / "shared"
FILE = "case.yaml"


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a case file share: unknown keys are mistakes."""


class Differs(Model):
    """Why prompt flow 1.18.5 gives something else; `defect` is the number in the reference's table of defects."""

    why: str
    ours: Literal["better", "equal-by-choice"] = "better"
    defect: int | None = None


class PromptFlow(Model):
    """What prompt flow does with a step: the same (nothing set), something else, or it cannot be asked."""

    differs: Differs | None = None
    skip: str | None = None


class Fault(Model):
    """A failure that is expected: texts it holds, its class, its node, and `file:line`."""

    text: list[str] = []
    type: str | None = None
    node: str | None = None
    where: str | None = None


class Expect(Model):
    """What must come of a step; what is not set is not looked at, but a step without `error` must succeed.

    Attributes:
        outputs: Of a test: the flow's outputs. Of a run: one mapping a row, null where it failed.
        nodes: Outputs of single nodes.
        bypassed: Nodes that did not run; of a run, one list a row.
        inputs: Of a run: the flow's inputs of each row.
        statuses: Of a run: each row's.
        status: Of a run.
        counts: Of a run: some of its counts.
        metrics: All that aggregation logged.
        error: The failure.
        notes: Texts, each in one of the notes.
        stdout: Texts, in any place of the output.
        stderr: Texts, in any place of the error output.
        absent: Texts that nothing of it may hold.
        json: What the output, read as JSON, must hold at least.
        files: Texts that a file of the project holds afterwards.
        exit: The exit code; 0 by default, and anything else where `error` is set.
    """

    outputs: Any = None
    nodes: dict[str, Any] = {}
    bypassed: list[Any] | None = None
    inputs: list[Any] | None = None
    statuses: list[str] | None = None
    status: str | None = None
    counts: dict[str, int] = {}
    metrics: dict[str, float] | None = None
    error: Fault | None = None
    notes: list[str] = []
    stdout: list[str] = []
    stderr: list[str] = []
    absent: list[str] = []
    json: Any = None
    files: dict[str, list[str]] = {}
    exit: int | None = None


class Try(Model):
    """`flow test`: inputs as typed values (a file) or as `key=value` texts."""

    flow: str | None = None
    inputs: dict[str, Any] | None = None
    file: str | None = None
    pairs: dict[str, str] = {}
    variant: str | None = None
    node: str | None = None
    init: dict[str, str] = {}


class Batch(Model):
    """`run create`, or with `resume` `run resume`; the run's name is the step's place unless it is given."""

    flow: str | None = None
    name: str | None = None
    data: str | None = None
    run: str | None = None
    file: str | None = None
    resume: str | None = None
    column_mapping: dict[str, str] = {}
    variant: str | None = None
    connections: dict[str, str] = {}
    arguments: list[str] = []


class Step(Model):
    """One thing that is done: exactly one of `test`, `run`, `cli`.

    Attributes:
        environment: Variables that are set for it.
        write: Files that are written first.
        process: Whether it is done by a process of its own.
        xfail: Why it does not give yet what it should.
    """

    test: Try | None = None
    run: Batch | None = None
    cli: list[str] | None = None
    expect: Expect = Expect()
    environment: dict[str, str] = {}
    write: dict[str, str] = {}
    process: bool = False
    promptflow: Literal["same"] | PromptFlow | None = None
    xfail: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.test, self.run, self.cli)) != 1:
            raise ValueError("a step is one of test, run, cli")


class Case(Model):
    """A case as its file says."""

    rows: list[str]
    about: str
    steps: list[Step]
    flow: str = "."
    environment: dict[str, str] = {}
    promptflow: Literal["same"] | PromptFlow = "same"
    folder: Path = field(default=HERE)

    @property
    def id(self) -> str:
        """`area/case`."""
        return self.folder.relative_to(CASES).as_posix()

    def theirs(self, step: Step) -> PromptFlow:
        """Return what is said of prompt flow for a step; of a command line nothing can be compared."""
        if step.cli is not None:
            return PromptFlow(skip="a command line of Pilothouse")
        said = step.promptflow or self.promptflow
        return said if isinstance(said, PromptFlow) else PromptFlow()


def load(folder: Path) -> Case:
    """Read one case; a mistake in it names its file."""
    try:
        data = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
        return convert({**data, "folder": folder}, Case)
    except Exception as error:
        raise ValueError(f"{folder / FILE}: {error}") from error


def load_all() -> list[Case]:
    """Return every case, sorted by id."""
    return [load(path.parent) for path in sorted(CASES.glob(f"*/*/{FILE}"))]
