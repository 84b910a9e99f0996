"""What runs behind a test: one open project for all tests of a run, each test an experiment with its gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from pilothouse.core.errors import ConfigError, NotFound
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE
from pilothouse.core.storage.files import write_atomic
from pilothouse.core.yaml import Document
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.design.file import ExperimentFile, Overrides, evaluator_name, read_document
from pilothouse.experiments.design.layers import Layers
from pilothouse.experiments.design.preparation import Prepared, Preparer
from pilothouse.experiments.gates.markdown import markdown
from pilothouse.experiments.gates.service import MAIN, GateService
from pilothouse.experiments.gates.types import Decision
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.service import ExperimentService, Finding
from pilothouse.experiments.testing import words
from pilothouse.experiments.testing.decorator import RESULT, ROW, Evaluation
from pilothouse.experiments.testing.found import Evaluated
from pilothouse.experiments.testing.written import check, document_of, flow_of, mapped, name_of, written
from pilothouse.flows.function import blocking, open_project
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService


class _Draft(Struct, frozen=True, kw_only=True):
    """An experiment of a test before it is checked: its file, its lines, its flow where that is the test itself."""

    file: ExperimentFile
    document: Layers
    live: Flow | None


class Evaluations:
    """The evaluations of one run of pytest.

    Args:
        root: Where a project is looked for in the end: pytest's own root.
        limit: Rows of each evaluation.
        report: A folder for pages and Markdown files.
        bless: Make what is found the baseline.
        resume: Take answers of earlier runs of the same function.
    """

    def __init__(self, *, root: Path, limit: int | None, report: Path | None, bless: bool, resume: bool) -> None:
        self._root = root
        self._limit = limit
        self._report = report
        self._bless = bless
        self._resume = resume
        self._open: dict[Path, Services] = {}
        self._closing = ExitStack()

    def close(self) -> None:
        """Close the projects that were opened."""
        self._open.clear()
        self._closing.close()

    def run(self, evaluation: Evaluation, call: Callable[..., Any], nodeid: str, path: Path) -> Evaluated:
        """Run the evaluation of a test and let its gate decide.

        Args:
            evaluation: The test.
            call: The test's function, its fixtures given.
            nodeid: What pytest calls the test.
            path: The test file.

        Raises:
            PilothouseError: what is asked for cannot be done; no row was judged then.
        """
        where = document_of(evaluation).where()
        check(evaluation, where)
        services = self._services(path)
        find = partial(_found, path.parent, services.root)
        prepared = (
            self._file(evaluation, services, find)
            if "experiment" in evaluation.asked
            else self._test(evaluation, call, services, nodeid, path)
        )
        gate = prepared.experiment.gate
        if gate is None and RESULT not in evaluation.takes:
            raise ConfigError("nothing judges the test: there is no gate, and it takes no `result`", where=where)
        resume = self._resume or bool(evaluation.asked.get("resume")) or ROW not in evaluation.takes
        finding = blocking(partial(_ran, services, prepared, fresh=not resume))
        decision = self._decided(services, finding, evaluation.asked.get("variant")) if gate is not None else None
        found = words.evaluated(finding, decision, services.get(RunService), wants_body=RESULT in evaluation.takes)
        if self._report is not None:
            _write(self._report, finding, decision, found)
        return found

    def _services(self, path: Path) -> Services:
        """Return the project that a test file lies in; pytest's root is one where nothing says otherwise."""
        root = next((folder for folder in path.parents if (folder / FILE).is_file()), self._root)
        if root not in self._open:
            self._open[root] = self._closing.enter_context(open_project(root))
        return self._open[root]

    def _file(self, evaluation: Evaluation, services: Services, find: Callable[[str], str]) -> Prepared:
        asked = evaluation.asked
        overrides = Overrides(
            data=find(asked["data"]) if "data" in asked else None, limit=self._limit or asked.get("limit")
        )
        prepared = services.get(Preparer).prepare(Path(find(asked["experiment"])), overrides)
        gate = prepared.experiment.gate
        if gate is None or "variant" not in asked:
            return prepared
        gate = structs.replace(gate, variant=asked["variant"])
        return structs.replace(prepared, experiment=structs.replace(prepared.experiment, gate=gate))

    def _test(
        self, evaluation: Evaluation, call: Callable[..., Any], services: Services, nodeid: str, path: Path
    ) -> Prepared:
        find = partial(_found, path.parent, services.root)
        name = name_of(evaluation, nodeid)
        said = written(evaluation, name, path, find)
        at = document_of(evaluation)
        document = Layers.of(Document(said, path, {(): at.line() or 1}))
        draft = _drafted(evaluation, call, services, document)
        overrides = Overrides(limit=self._limit or evaluation.asked.get("limit"))
        return services.get(Preparer).prepare_written(draft.file, draft.document, overrides, draft.live)

    def _decided(self, services: Services, finding: Finding, variant: str | None) -> Decision:
        gates = services.get(GateService)
        record = finding.record
        gate = record.definition.gate
        if self._bless and gate is not None:
            own = structs.replace(gate, regressions={}, flips=None)
            first = gates.decide(
                structs.replace(record, definition=structs.replace(record.definition, gate=own)), variant=variant
            )
            if first.outcome == "fail":
                return structs.replace(first, notes=(*first.notes, "not blessed: what fails is no baseline"))
            is_file = gate.baseline is not None and gate.baseline.endswith(".json")
            alias = MAIN if is_file or gate.baseline is None else gate.baseline.rpartition("@")[2]
            file = services.root / gate.baseline if is_file and gate.baseline is not None else None
            gates.bless(record.ref, variant=variant, alias=alias, file=file)
        try:
            return gates.decide(record, variant=variant)
        except NotFound as error:
            if "baseline" not in error.message:
                raise
            raise NotFound(
                error.message, where=error.where, expected=error.expected, fix="make one: pytest --pilothouse-bless"
            ) from error


def _drafted(evaluation: Evaluation, call: Callable[..., Any], services: Services, document: Layers) -> _Draft:
    """Return the experiment of a test, its mappings filled in by what evaluators take and columns are called."""
    file = read_document(document)
    if file.data is None:
        raise ConfigError("a test reads one dataset", where=document.where(), expected="data=PATH")
    data = services.get(DatasetService).open(file.data, id_column=file.id_column)
    columns = [column.name for column in data.columns]
    live, mapping = None, file.column_mapping
    if ROW in evaluation.takes:
        live, mapping = flow_of(evaluation, call, file.name, columns)
    common: Mapping[str, Any] = evaluation.asked.get("column_mapping") or {}
    evaluators: list[Any] = []
    used: set[str] = set()
    for entry in file.evaluators:
        if entry.column_mapping:
            evaluators.append(entry)
            continue
        spec = EvaluatorSpec(
            name=entry.name or evaluator_name(entry.use),
            source=entry.use,
            options=entry.options,
            better=entry.better,
            where=document.where(),
        )
        filled = mapped(services.get(EvaluationService).load(spec).parameters, common, columns)
        used |= filled.keys()
        evaluators.append(structs.replace(entry, column_mapping=filled))
    for name in common:
        if name not in used:
            raise ConfigError(f"no evaluator takes the argument '{name}'", where=document.where())
    return _Draft(
        file=structs.replace(file, column_mapping=mapping, evaluators=evaluators), document=document, live=live
    )


async def _ran(services: Services, prepared: Prepared, *, fresh: bool) -> Finding:
    try:
        return await services.get(ExperimentService).run(prepared, fresh=fresh)
    finally:
        await services.get(ModelService).aclose()


def _found(folder: Path, root: Path, text: str) -> str:
    """Return the path beside the test file, or in the project where only that exists."""
    beside, within = folder / text, root / text
    return str(within if within.exists() and not beside.exists() else beside)


def _write(folder: Path, finding: Finding, decision: Decision | None, found: Evaluated) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{finding.record.name}.html"
    shutil.copyfile(finding.files.html, page)
    text = markdown(decision, page.name) if decision is not None else f"```\n{found.text}\n```\n"
    write_atomic(folder / f"{finding.record.name}.md", text.encode("utf-8", "backslashreplace"))
