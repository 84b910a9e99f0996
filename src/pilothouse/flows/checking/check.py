"""A flow looked at without running it: its files, then its code, connections and packages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

from pilothouse.core.errors import NotFound, PilothouseError, UserCodeError
from pilothouse.core.services import Services
from pilothouse.flows.checking.types import Finding, FlowReport
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.environment.requirements import installed_version, read_requirements, requirements_file
from pilothouse.flows.library import flow_files, locate
from pilothouse.flows.loader import PROMPTY, find_flow_file, flow_problems
from pilothouse.flows.project import project_runner
from pilothouse.flows.types import Flow


def files_to_check(root: Path, references: Iterable[str]) -> list[Path]:
    """Return the files of the flows that are meant, each once; a folder without a flow of its own means all below it.

    Raises:
        NotFound: when there is no such flow, or none below a folder.
        FlowError: when a name fits several flows, or a folder holds two.
    """
    found: dict[Path, None] = {}
    for reference in references:
        place = locate(root, reference)
        try:
            files = [find_flow_file(place)]
        except NotFound as error:
            files = list(flow_files(place)) if place.is_dir() else []
            if not files:
                raise NotFound(
                    "no flow is in this folder, nor below it", where=str(place), expected=error.expected
                ) from error
        found.update(dict.fromkeys(file.resolve() for file in files))
    return list(found)


def check_flow(file: Path, services: Services | None) -> FlowReport:
    """Return what is wrong with the flow of ``file``; none of its nodes is run.

    Args:
        file: The flow's file.
        services: The project, whose connections are looked for; its tools are imported then. None to read files only.
    """
    flow, problems = flow_problems(file)
    notes: list[str] = []
    if flow is not None:
        notes = [*flow.notes, *_requirement_notes(flow)]
        if services is not None:
            known = {problem.where for problem in problems}
            problems += [found for found in _opening_problems(flow, services) if found.where not in known]
    return FlowReport(
        file=file,
        name=flow.name if flow is not None else file.stem if file.suffix == PROMPTY else file.parent.name,
        kind=flow.kind if flow is not None else "",
        nodes=len(flow.nodes) if flow is not None else 0,
        errors=tuple(map(_finding, problems)),
        notes=tuple(notes),
    )


def _opening_problems(flow: Flow, services: Services) -> list[PilothouseError]:
    problems = Problems(keep=True)
    # What the user's modules print while they are imported must not end up in the report.
    with problems, redirect_stdout(sys.stderr):
        problems.found += project_runner(services, flow).problems()
    return problems.found


def _requirement_notes(flow: Flow) -> Iterator[str]:
    path = requirements_file(flow)
    named = flow.environment.python_requirements_txt
    if named and path is None:
        yield f"{flow.path}: environment.python_requirements_txt names '{named}', which does not exist"
    for item in read_requirements(path) if path is not None else ():
        if item.name and installed_version(item.name) is None and not item.is_answered_here:
            yield f"{item.where}: '{item.name}' is not installed here: pip install -r {path}"


def _finding(error: PilothouseError) -> Finding:
    return Finding(
        message=error.message,
        where=error.where or "",
        expected=error.expected or "",
        fix=error.fix or "",
        traceback=error.traceback if isinstance(error, UserCodeError) else "",
    )
