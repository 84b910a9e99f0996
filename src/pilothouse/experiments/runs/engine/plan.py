"""What a spec means here and now: the flow, the data, the source run and the mapping, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core.environment import read_dotenv
from pilothouse.core.errors import Conflict, UserError, nearest_hint
from pilothouse.datasets.mapping import ColumnMapping, default_mapping
from pilothouse.datasets.service import DatasetService
from pilothouse.datasets.source import DatasetSource
from pilothouse.experiments.runs.engine.lines import Lines, SourceRows
from pilothouse.experiments.runs.engine.sampling import places_of
from pilothouse.experiments.runs.journal import Journal
from pilothouse.experiments.runs.types import DataRef, FlowRef, RowSample, Run, RunSpec
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow
from pilothouse.registry.types import check_name

_DATA = "${data."


class Plan(Struct, frozen=True, kw_only=True):
    """A checked spec.

    Attributes:
        spec: What was asked.
        flow: The flow with its variants in place.
        flow_ref: Its snapshot.
        mapping: The mapping in effect.
        data: The rows; None when the source run alone gives the lines.
        data_ref: Their snapshot.
        source: The source run.
        source_rows: Its rows.
        chosen: Row number -> place in the random order, where the rows are a sample.
        repeat: Lines per row of the data.
        total: Lines of the run; None while nobody knows.
        notes: What the user should know.
    """

    spec: RunSpec
    flow: Flow
    flow_ref: FlowRef
    mapping: dict[str, Any]
    data: DatasetSource | None
    data_ref: DataRef | None
    source: Run | None
    source_rows: SourceRows | None
    chosen: Mapping[int, int] | None
    repeat: int
    total: int | None
    notes: tuple[str, ...]

    def lines(self) -> Lines:
        """Return the lines of the run, from the first."""
        return Lines(
            ColumnMapping.parse(self.mapping),
            optional=frozenset(name for name, item in self.flow.inputs.items() if item.has_default),
            rows=self.data,
            source=self.source_rows,
            repeat=self.spec.repeat,
            limit=self.spec.limit,
            chosen=self.chosen,
        )

    def places(self, sample: RowSample) -> Mapping[int, int]:
        """Return row number -> place in the random order, for the rows of a sample."""
        return {} if self.data is None else places_of(self.data, sample, self.spec.limit)

    def afterthoughts(self) -> list[str]:
        """Return what is known once all lines were made: answers of the source run that nobody asked for."""
        is_part = self.spec.limit is not None or self.chosen is not None
        if self.source_rows is None or self.data is None or is_part:
            return []
        left = self.source_rows.answered - self.source_rows.matched
        return [f"the source run has {left:,} answered rows that the data does not name"] if left > 0 else []


class Planner:
    """Makes plans.

    Args:
        root: The project's folder.
        datasets: Opens data.
        find_run: Finds a run by name or id.
        journal: Finds the journal of a run.
    """

    def __init__(
        self, root: Path, datasets: DatasetService, find_run: Callable[[str], Run], journal: Callable[[Run], Journal]
    ) -> None:
        self._root = root
        self._datasets = datasets
        self._find_run = find_run
        self._journal = journal

    def plan(self, spec: RunSpec, flow: Flow | None = None) -> Plan:
        """Read and check everything a run needs; nothing is written and no model is called.

        Args:
            spec: What is wanted.
            flow: The flow itself, where it lives in this process rather than in a file.

        Raises:
            UserError: a part is missing, contradicts another, or cannot be read.
        """
        _check(spec)
        flow = self._flow(spec, flow)
        mapping = {**default_mapping(_defaults(flow, spec)), **spec.column_mapping}
        source = self._source(spec)
        data = self._data(spec, source, mapping)
        source_rows = SourceRows(self._journal(source)) if source is not None else None
        repeat = spec.repeat * (source.repeat if source is not None else 1)
        chosen = None
        if spec.sample is not None:
            if data is None:
                raise UserError("rows can be drawn from data alone", expected="--data FILE, beside --run RUN")
            chosen = places_of(data, spec.sample, spec.limit)
        return Plan(
            spec=spec,
            flow=flow,
            flow_ref=FlowRef(name=flow.name, path=spec.flow, digest=flow.digest),
            mapping=mapping,
            data=data,
            data_ref=_data_ref(data) if data is not None else None,
            source=source,
            source_rows=source_rows,
            chosen=chosen,
            repeat=repeat,
            total=len(chosen) * repeat if chosen is not None else _total(spec, data, source_rows, repeat),
            notes=(*flow.notes, *_notes(flow, spec, data)),
        )

    def _flow(self, spec: RunSpec, live: Flow | None) -> Flow:
        flow = chosen(live or load_flow(self._root / spec.flow), spec.variants)
        variables = {**flow.environment_variables, **self._file_of_variables(spec), **spec.environment_variables}
        return msgspec.structs.replace(flow, environment_variables=variables)

    def _file_of_variables(self, spec: RunSpec) -> dict[str, str]:
        if spec.environment_file is None:
            return {}
        path = self._root / spec.environment_file
        if not path.is_file():
            raise UserError("there is no such file of variables", where=str(path), expected="lines of NAME=value")
        return read_dotenv(path)

    def _source(self, spec: RunSpec) -> Run | None:
        if spec.source_run is None:
            return None
        source = self._find_run(spec.source_run)
        if source.status in ("created", "running"):
            raise Conflict(f"the run '{source.name}' has not ended yet", fix="wait until it has, then evaluate it")
        return source

    def _data(self, spec: RunSpec, source: Run | None, mapping: dict[str, Any]) -> DatasetSource | None:
        if spec.data is not None:
            return self._datasets.open(spec.data, id_column=spec.id_column)
        if source is None:
            raise UserError("a run needs rows", expected="--data FILE, --data dataset:NAME or --run RUN")
        uses_data = any(isinstance(value, str) and value.startswith(_DATA) for value in mapping.values())
        # Rows that the source run never came to are known from its data alone.
        if not uses_data and source.counts.done == source.counts.total:
            return None
        origin = self._origin(source)
        data = self._datasets.open(origin.source, id_column=origin.id_column)
        if data.digest != origin.digest:
            raise Conflict(
                f"the data of the run '{source.name}' has changed since",
                where=origin.source,
                fix="name the data that belongs to it with --data, or run the flow again",
            )
        return data

    def _origin(self, run: Run) -> DataRef:
        while run.data is None and run.source_run is not None:
            run = self._find_run(run.source_run)
        if run.data is None:
            raise UserError(f"the run '{run.name}' names no data", fix="name it with --data")
        return run.data


def _check(spec: RunSpec) -> None:
    for name, value in (("concurrency", spec.concurrency), ("repeat", spec.repeat), ("limit", spec.limit)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}", expected="1 or more")
    if spec.workers is not None and spec.workers < 1:
        raise UserError(f"workers is {spec.workers}", expected="1 or more")
    if spec.max_failures < 0:
        raise UserError(f"max_failures is {spec.max_failures}", expected="0 or more")
    if spec.timeout is not None and not spec.timeout > 0:
        raise UserError(f"timeout is {spec.timeout}", expected="more than 0 seconds")
    if spec.name is not None:
        check_name("run", spec.name)


def _defaults(flow: Flow, spec: RunSpec) -> dict[str, bool]:
    return {name: item.has_default for name, item in flow.inputs.items() if name not in spec.column_mapping}


def _notes(flow: Flow, spec: RunSpec, data: DatasetSource | None) -> list[str]:
    notes = [
        f"the column mapping names '{name}', but the flow has no such input ({nearest_hint(name, flow.inputs)})"
        for name in spec.column_mapping
        if name not in flow.inputs
    ]
    if data is not None and data.skipped:
        notes.append(f"{len(data.skipped)} files of the data folder were not read: nothing reads their format")
    return notes


def _data_ref(data: DatasetSource) -> DataRef:
    version = data.version.ref if data.version is not None else None
    return DataRef(
        name=data.name,
        source=data.origin,
        digest=data.digest,
        rows=data.profile.rows,
        id_column=data.id_column,
        version=version,
        parts=tuple(map(_data_ref, data.parts.values())),
    )


def _total(spec: RunSpec, data: DatasetSource | None, source: SourceRows | None, repeat: int) -> int | None:
    if data is not None:
        rows = data.profile.rows
        return min(rows, spec.limit or rows) * repeat
    if source is not None and data is None and spec.limit is None:
        return source.recorded * spec.repeat
    return None
