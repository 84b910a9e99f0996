"""The same cases by prompt flow and by us: `python -m tests.conformance.differential --promptflow-python PATH`.

Writes `docs/conformance-differences.md` and leaves with 1 where a difference is not explained by its case, or an
explanation explains nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from pilothouse.core.canonical import digest_tree
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.models.connections import BUILT_IN

from .case import FILE, Case, Differs, Step, load_all
from .endpoint import serving
from .observed import Failure, Observed
from .running import Project
from .table import LINK, ROOT

PAGE = ROOT / "docs" / "conformance-differences.md"
DRIVER = Path(__file__).with_name("promptflow_driver.py")
WIDTH = 110
BEFORE = 30
CONFIG = "telemetry:\n  enabled: false\ntrace:\n  destination: none\n"

HEAD = """\
# Differences from prompt flow

The [conformance cases](conformance.md) are run by prompt flow 1.18.5 and by Pilothouse, against the same model endpoint,
and outputs, metrics, bypassed nodes, statuses and failures are compared step by step. `make conformance-diff` does it
again and writes this page; it fails for a difference that no case explains, and for an explanation of none.

{compared} steps were compared: {same} are the same, {different} differ, each for a reason:

| Case | Aspect | prompt flow | Pilothouse | Why |
|---|---|---|---|---|
"""
SKIPPED = """
## Not compared

| Case | Why |
|---|---|
"""
REFUSED = """
## Refused by both, in other words

| Case | prompt flow | Pilothouse |
|---|---|---|
"""


class Difference(Struct, frozen=True):
    """One aspect of a step that is not the same."""

    aspect: str
    theirs: Any
    ours: Any


class Compared(Struct, frozen=True):
    """One step on both sides."""

    case: Case
    number: int
    step: Step
    ours: Observed
    theirs: Observed
    differences: list[Difference]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.case.id}, step {self.number}"

    @property
    def explained(self) -> Differs | None:
        """What the case says about it."""
        return self.case.theirs(self.step).differs


def differences(ours: Observed, theirs: Observed, *, is_run: bool) -> list[Difference]:
    """Return all aspects that are not the same."""
    found: list[Difference] = []

    def look(aspect: str, left: Any, right: Any) -> None:
        if left != right:
            found.append(Difference(aspect, left, right))

    if (theirs.failure is None) != (ours.failure is None) and len(theirs.lines) != len(ours.lines):
        return [Difference("runs", _ending(theirs), _ending(ours))]
    if theirs.failure is not None and ours.failure is not None and not (theirs.lines and ours.lines):
        # Refused before anything ran on one side, in the line on the other: refused all the same.
        return []
    look("status of lines", [line.status for line in theirs.lines], [line.status for line in ours.lines])
    look("outputs", _outputs(theirs), _outputs(ours))
    look("bypassed", _bypassed(theirs), _bypassed(ours))
    look("metrics", theirs.metrics, ours.metrics)
    if is_run:
        look("status", theirs.status, ours.status)
    if not found and (theirs.failure is None) != (ours.failure is None):
        found.append(Difference("runs", _ending(theirs), _ending(ours)))
    return found


def _ending(seen: Observed) -> str:
    failure = seen.failure
    return f"refused: {failure.type or ''} {failure.message}" if failure is not None else "runs"


def _outputs(seen: Observed) -> list[Any]:
    return [line.outputs if line.status == "completed" else None for line in seen.lines]


def _bypassed(seen: Observed) -> list[Any]:
    return [line.bypassed if line.status == "completed" else [] for line in seen.lines]


def our_side(cases: list[Case], folder: Path, endpoint: str) -> dict[str, list[Observed]]:
    """Do every step by Pilothouse."""
    found = {}
    for case in cases:
        project = Project(case, folder / "ours" / case.id, endpoint)
        found[case.id] = [project.take(step, number) for number, step in enumerate(case.steps, 1)]
    return found


def their_side(
    cases: list[Case], folder: Path, endpoint: str, python: str, results: Path
) -> dict[str, list[Observed | None]]:
    """Do every step by prompt flow; cases that stand in the results already and did not change are not done again."""
    results.touch()
    kept = {item["id"]: item for item in map(json.loads, results.read_text().splitlines())}
    digests = {case.id: digest_tree(case.folder) for case in cases}
    plan = []
    for case in cases:
        if kept.get(case.id, {}).get("digest") == digests[case.id]:
            continue
        project = Project(case, folder / "theirs" / case.id, endpoint)
        data = yaml.safe_load((case.folder / FILE).read_text(encoding="utf-8"))
        environment = {key: value for key, value in project.environment.items() if key not in {"PATH", "HOME"}}
        (project.folder / ".connections.json").write_text(json.dumps(_connections(project)))
        plan.append({"id": case.id, "folder": str(project.folder), "flow": case.flow, "environment": environment,
                     "steps": data["steps"], "digest": digests[case.id]})  # fmt: skip
    home = folder / "home" / ".promptflow"
    home.mkdir(parents=True)
    (home / "pf.yaml").write_text(CONFIG)
    (folder / "plan.json").write_text(json.dumps(plan))
    settings = {"HOME": str(home.parent), "PF_HOME_DIRECTORY": str(home.parent), "PF_DISABLE_TRACING": "true",
                "PF_LOGGING_LEVEL": "ERROR", "PF_WORKER_COUNT": "2", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}  # fmt: skip
    subprocess.run([python, DRIVER, folder / "plan.json", results], env=settings, check=True)
    seen = {item["id"]: item["steps"] for item in map(json.loads, results.read_text().splitlines())}
    return {case.id: [_observed(step) for step in seen[case.id]] for case in cases if case.id in seen}


def _is_comparable(case: Case) -> bool:
    return any(case.theirs(step).skip is None for step in case.steps)


def _connections(project: Project) -> list[dict[str, Any]]:
    """Return the project's connections with their values."""
    environment = Environment(project.environment)
    found = []
    for path in sorted((project.folder / "connections").glob("*.y*ml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if data["type"] not in BUILT_IN:
            # A case may be about a variable that is not set: then there is no such connection.
            with suppress(ConfigError):
                found.append(json.loads(environment.expand(json.dumps(data, default=str))))
    return found


def _observed(data: dict[str, Any] | None) -> Observed | None:
    return msgspec.convert(data, Observed, strict=False) if data is not None else None


def compare(cases: list[Case], ours: dict[str, Any], theirs: dict[str, Any]) -> list[Compared]:
    """Return every step that both sides did and that may be compared."""
    found = []
    for case in cases:
        if case.id not in theirs:
            raise SystemExit(f"prompt flow did not end {case.id}")
        for number, (step, left, right) in enumerate(zip(case.steps, theirs[case.id], ours[case.id], strict=True), 1):
            if left is None or case.theirs(step).skip is not None or step.xfail is not None:
                continue
            unlike = differences(right, left, is_run=step.run is not None)
            found.append(Compared(case, number, step, right, left, unlike))
    return found


def complaints(compared: list[Compared]) -> list[str]:
    """Return differences that nothing explains, and explanations of nothing."""
    wrong = []
    for item in compared:
        if item.differences and item.explained is None:
            aspects = "; ".join(f"{d.aspect}: theirs {d.theirs!r}, ours {d.ours!r}" for d in item.differences)
            told = " / ".join(f"{f.type}: {f.message[:300]}" for f in (item.theirs.failure, item.ours.failure) if f)
            wrong.append(f"{item.name} differs and nobody says why: {aspects} {told}")
        elif item.explained is not None and not item.differences:
            wrong.append(f"{item.name} is explained ({item.explained.why}) but does not differ")
    return wrong


def page(cases: list[Case], compared: list[Compared]) -> str:
    """Return the page of differences."""
    different = [item for item in compared if item.differences]
    same = len(compared) - len(different)
    lines = [HEAD.format(compared=len(compared), same=same, different=len(different)).rstrip("\n")]
    for item in different:
        why = _why(item.explained) if item.explained else "**not explained**"
        for number, unlike in enumerate(item.differences):
            case = f"[{item.name}]({LINK}/{item.case.id}/case.yaml)" if not number else ""
            lines.append(_row(case, unlike.aspect, *_apart(unlike.theirs, unlike.ours), "" if number else why))
    skipped = [
        (case, number, said.skip)
        for case in cases
        for number, step in enumerate(case.steps, 1)
        if (said := case.theirs(step)).skip is not None and step.cli is None
    ]
    lines += [SKIPPED.rstrip("\n")]
    lines += [_row(f"[{case.id}, step {n}]({LINK}/{case.id}/case.yaml)", why) for case, n, why in skipped]
    lines += [REFUSED.rstrip("\n")]
    for item in compared:
        if not item.differences and item.theirs.failure and item.ours.failure:
            lines.append(
                _row(
                    f"[{item.name}]({LINK}/{item.case.id}/case.yaml)",
                    _words(item.theirs.failure),
                    _words(item.ours.failure),
                )
            )
    return "\n".join(lines) + "\n"


def _why(said: Differs) -> str:
    defect = f" (defect {said.defect})" if said.defect is not None else ""
    return said.why + defect + (" *By choice.*" if said.ours == "equal-by-choice" else "")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _apart(*values: Any) -> Iterator[str]:
    """Return two values as text, long ones from shortly before the place where they part."""
    texts = [_scrubbed(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for value in values]
    texts = [" ".join(text.replace("`", "'").split()) for text in texts]
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False)))
    start = max(0, alike - BEFORE)
    for text in texts:
        cut = text[start : start + WIDTH]
        yield f"`{'...' * (start > 0)}{cut}{'...' * (len(text) > start + WIDTH)}`"


def _words(failure: Failure) -> str:
    text = " ".join(_scrubbed(failure.message.removeprefix("error: ")).replace("`", "'").split())
    kind = f"{failure.type}: " if failure.type else ""
    return f"`{kind}{text[:WIDTH]}{'...' * (len(text) > WIDTH)}`"


def _scrubbed(text: str) -> str:
    """Return text without paths and addresses of the machine that it was made on."""
    text = re.sub(r"(?:/[\w.+-]+)+/(?=[\w.+-])", "", text)
    return re.sub(r"127\.0\.0\.1:\d+|0x[0-9a-f]{6,}", "...", text)


def main() -> int:
    """Compare, write the page, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--promptflow-python", required=True, help="an interpreter with promptflow and promptflow-tools"
    )
    parser.add_argument("--only", default="", help="cases whose id has this text; the page is not written then")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps what prompt flow gave; unchanged cases are not run again"
    )
    given = parser.parse_args()
    everything = load_all()
    cases = [case for case in everything if given.only in case.id and _is_comparable(case)]
    with tempfile.TemporaryDirectory() as name, serving() as endpoint:
        results = given.results or Path(name) / "results.jsonl"
        theirs = their_side(cases, Path(name), endpoint, given.promptflow_python, results)
        ours = our_side(cases, Path(name), endpoint)
    compared = compare(cases, ours, theirs)
    wrong = complaints(compared)
    if not given.only:
        PAGE.write_text(page(everything, compared), encoding="utf-8")
    for text in wrong:
        print(text)
    different = sum(bool(item.differences) for item in compared)
    print(f"{len(compared)} steps compared, {different} differ, {len(wrong)} to be looked at")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
