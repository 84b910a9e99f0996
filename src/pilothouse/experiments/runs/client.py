"""Runs as prompt flow's client asks for them: its requests as ours, our records as its entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from pilothouse.core import plugins
from pilothouse.core.clock import Clock
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.experiments.runs.exports.formats import ExportFormat
from pilothouse.experiments.runs.interrupts import Stop, catch_signals
from pilothouse.experiments.runs.runfile import within
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.runs.types import Run, RunSpec
from pilothouse.flows.client.entities import RunLine, RunRecord, RunRequest
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.nodes.opening import INIT, with_overrides

_FORMAT: ExportFormat = "promptflow"
_DATASET = "dataset:"


class ClientRuns:
    """The runs of one project for prompt flow's client.

    Args:
        root: The project's folder.
        folder: Where rows are kept.
        runs: The runs.
        clock: Where the time comes from.
    """

    def __init__(self, root: Path, folder: Path, runs: RunService, clock: Clock) -> None:
        self._root = root
        self._folder = folder
        self._runs = runs
        self._clock = clock

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the runs of a project."""
        return cls(services.root, services.state / FOLDER, services.get(RunService), services.clock)

    async def create(self, request: RunRequest) -> RunRecord:
        """Run a flow over rows, or what another run left undone; Ctrl-C ends it tidily.

        Raises:
            UserError: when something that it asks for cannot be used.
        """
        stop = Stop()
        with catch_signals(stop):
            if request.resume_from is not None:
                spec = self._again(self._runs.get(request.resume_from), request)
                return self._record(await self._runs.execute(spec, resume_from=request.resume_from, stop=stop))
            spec, live = self._spec(request), request.live
            if live is not None and request.init:
                live = with_overrides(live, {INIT: request.init})
            return self._record(await self._runs.execute(spec, flow=live, stop=stop))

    def get(self, name: str) -> RunRecord:
        """Return a run.

        Raises:
            NotFound: when there is none of the name.
        """
        return self._record(self._runs.get(name))

    def list(self, limit: int | None, *, archived: bool | None) -> list[RunRecord]:
        """Return runs, the latest first: only archived ones, only the others, or both (None)."""
        return [self._record(run) for run in self._runs.list(limit=limit, archived=archived)]

    def lines(self, name: str) -> Iterator[RunLine]:
        """Return the rows of a run in the order of its data.

        Raises:
            NotFound: when there is none of the name.
        """
        run = self._runs.get(name)
        for row in self._runs.rows(run):
            yield RunLine(
                number=row.number * run.repeat + row.repeat,
                inputs=row.inputs,
                outputs=row.outputs,
                is_completed=row.status == "completed",
                error=row.error.message if row.error is not None else None,
            )

    def update(
        self, name: str, display_name: str | None, description: str | None, tags: Mapping[str, str] | None
    ) -> RunRecord:
        """Change what a run is called."""
        return self._record(self._runs.update(name, display_name=display_name, description=description, tags=tags))

    def archive(self, name: str, *, archived: bool) -> RunRecord:
        """Leave a run out of lists, or take it back into them."""
        return self._record(self._runs.archive(name, archived=archived))

    def cancel(self, name: str) -> RunRecord:
        """Ask the process that works on a run to stop."""
        return self._record(self._runs.cancel(name))

    def page(self, names: Sequence[str]) -> bytes:
        """Return one HTML page of some runs."""
        made: bytes = plugins.load("promptflow", "page")(
            [self._runs.get(name) for name in names], self._runs.rows, self._clock.now()
        )
        return made

    def delete(self, name: str) -> None:
        """Forget a run and its rows."""
        self._runs.delete(name)

    def export(self, name: str, folder: Path) -> tuple[Path, ...]:
        """Write a run's rows into a folder as prompt flow does."""
        return self._runs.export(name, folder, _FORMAT)

    def _spec(self, request: RunRequest) -> RunSpec:
        init = {INIT: request.init} if request.init and request.live is None else {}
        return RunSpec(
            flow=request.flow if request.live is not None else within(self._root, Path(request.flow)),
            data=self._data(request.data),
            source_run=request.run,
            column_mapping=request.column_mapping,
            variants=dict([parse_variant(request.variant)]) if request.variant else {},
            connections={**request.connections, **init},
            environment_variables=request.environment_variables,
            name=request.name,
            display_name=request.display_name,
            description=request.description,
            tags=request.tags,
        )

    def _data(self, data: str | None) -> str | None:
        return data if data is None or data.startswith(_DATASET) else within(self._root, Path(data))

    def _again(self, run: Run, request: RunRequest) -> RunSpec:
        if not (self._root / run.spec.flow).exists():
            raise UserError(
                f"the flow of the run '{run.name}' is '{run.spec.flow}', which stands in no file of its own",
                fix="run it anew; rows that models answered come from the node cache",
            )
        return msgspec.structs.replace(
            run.spec,
            name=request.name,
            source_run=run.source_run,
            display_name=request.display_name or run.spec.display_name,
            description=request.description or run.spec.description,
            tags=request.tags or run.spec.tags,
        )

    def _record(self, run: Run) -> RunRecord:
        spec = run.spec
        ended = run.attempts[-1].ended_at if run.attempts else None
        return RunRecord(
            request=RunRequest(
                flow=spec.flow,
                data=spec.data,
                run=spec.source_run,
                column_mapping=dict(run.column_mapping),
                variant=", ".join(f"${{{node}.{variant}}}" for node, variant in spec.variants.items()) or None,
                connections={node: values for node, values in spec.connections.items() if node != INIT},
                environment_variables=spec.environment_variables,
                init=spec.connections.get(INIT, {}),
                name=run.name,
                display_name=spec.display_name,
                description=spec.description,
                tags=spec.tags,
            ),
            name=run.name,
            status=run.status,
            error=self._error(run),
            created_at=run.created_at,
            ended_at=ended,
            duration=run.duration,
            output_path=self._folder / run.id,
            metrics=run.metrics,
            properties=_properties(run),
            notes=run.notes,
        )

    def _error(self, run: Run) -> str | None:
        if run.error is not None:
            return run.error.message
        failed = next(self._runs.rows(run, status="failed"), None) if run.counts.failed else None
        if failed is None or failed.error is None:
            return None
        return f"{run.counts.failed:,} of {run.counts.done:,} rows failed; row {failed.number}: {failed.error.message}"


def _properties(run: Run) -> dict[str, Any]:
    usage = run.totals.usage
    return {
        "completed": run.counts.completed,
        "failed": run.counts.failed,
        "missing": run.counts.missing,
        "cached": run.counts.cached,
        "cost": float(run.totals.cost) if run.totals.cost is not None else None,
        "system_metrics": {
            "total_tokens": usage.total_tokens,
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "duration": run.duration,
        },
    }
