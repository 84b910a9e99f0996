"""`PFClient.runs`: runs made, found, read and named anew."""

from __future__ import annotations

import itertools
import webbrowser
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from pilothouse.core import plugins
from pilothouse.core.errors import DataError, FlowError, UserError
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.flows.client.entities import Run, RunKeeper, RunLine, RunRecord, RunRequest
from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.client.frames import data_frame
from pilothouse.flows.flex.loader import load_module
from pilothouse.flows.function import FlowFunction, blocking, open_project
from pilothouse.flows.loader import load_flow
from pilothouse.flows.promptflow.connections import PromptflowConnection
from pilothouse.flows.promptflow.faults import (
    InvalidRunStatusError,
    RunExistsError,
    RunNotFoundError,
    RunOperationParameterError,
    UserErrorException,
)
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService

T = TypeVar("T")

KEEPERS = "promptflow"
MAX_DETAILS = 100
_FAILED = "(Failed)"
_VIEWS = {"ActiveOnly": False, "ArchivedOnly": True, "All": None}


class RunOperations:
    """Verbs on the runs of the project that the working directory lies in."""

    def create_or_update(self, run: Run, *, stream: bool = False, **_: Any) -> Run:
        """Run a flow over rows, and wait for its end.

        Failed rows do not raise: the status tells.

        Raises:
            UserErrorException: when the flow, the data, a connection or the mapping cannot be used.
            RunExistsError: when the name is taken.
        """
        with as_promptflow(taken=RunExistsError):
            made = Run.of(_waited(lambda keeper: keeper.create(_request(run))))
        return self.stream(made, raise_on_error=False) if stream else made

    def resume_from(self, run: str | Run, **words: Any) -> Run:
        """Make a run that keeps the completed rows of another one, runs the others, and aggregates over all.

        Args:
            run: The other run; it stays as it is.
            words: ``name``, ``display_name``, ``description`` and ``tags`` of the new one.

        Raises:
            RunNotFoundError: when there is no such run.
            UserErrorException: when its flow or data has changed since.
        """
        with as_promptflow(missing=RunNotFoundError):
            known = {key: value for key, value in words.items() if value is not None}
            request = RunRequest(resume_from=_name(run), **known)
            return Run.of(_waited(lambda keeper: keeper.create(request)))

    def get(self, name: str | Run) -> Run:
        """Return a run.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        return Run.of(self._record(name))

    def list(self, max_results: int | None = 50, *, list_view_type: str = "ActiveOnly") -> list[Run]:
        """Return runs, the latest first.

        Args:
            max_results: At most so many.
            list_view_type: ``ActiveOnly``, ``ArchivedOnly`` or ``All``.
        """
        with as_promptflow(), _keeper() as keeper:
            view = str(getattr(list_view_type, "value", list_view_type))
            if view not in _VIEWS:
                raise UserError(f"list_view_type is '{view}'", expected=", ".join(_VIEWS))
            return [Run.of(record) for record in keeper.list(max_results, archived=_VIEWS[view])]

    def stream(self, name: str | Run, raise_on_error: bool = True) -> Run:
        """Print how a run ended, and return it.

        Raises:
            InvalidRunStatusError: when it failed or was cancelled, if ``raise_on_error``.
        """
        run = self.get(name)
        assert run.record is not None
        lines = (
            "======= Run Summary =======\n",
            f'Run name: "{run.name}"',
            f'Run status: "{run.status}"',
            f'Start time: "{run.record.created_at}"',
            f'Duration: "{run.record.duration:.3f} s"',
            f'Output path: "{run.record.output_path}"',
            *(f"note: {note}" for note in run.record.notes),
            *((f"error: {run.record.error}",) if run.record.error else ()),
        )
        print(*lines, sep="\n")  # noqa: T201 - what the verb is for
        if raise_on_error and run.status in {"Failed", "Canceled"}:
            raise InvalidRunStatusError(run.record.error or f"the run '{run.name}' is {run.status.lower()}")
        return run

    def get_details(self, name: str | Run, max_results: int = MAX_DETAILS, all_results: bool = False) -> Any:
        """Return rows as a pandas DataFrame with the columns ``inputs.x``, ``inputs.line_number`` and ``outputs.y``.

        Outputs of a failed row are ``(Failed)``.

        Raises:
            UserErrorException: when pandas is not installed.
            RunOperationParameterError: when ``max_results`` is not a positive number.
        """
        if not all_results and (not isinstance(max_results, int) or max_results < 1):
            raise RunOperationParameterError(f"'max_results' must be a positive integer, got {max_results!r}")
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            mapped = keeper.get(_name(name)).request.column_mapping
            lines = itertools.islice(keeper.lines(_name(name)), None if all_results else max_results)
            return data_frame(_columns(list(lines), mapped))

    def get_metrics(self, name: str | Run) -> dict[str, float]:
        """Return what a run's aggregation logged."""
        return dict(self._record(name).metrics)

    def visualize(self, runs: str | Run | Sequence[str | Run], html_path: str | Path | None = None, **_: Any) -> Path:
        """Write one self-contained page of one run, or of several side by side, and open it in a browser.

        Args:
            runs: The runs.
            html_path: The file to write; then no browser is opened.

        Returns:
            The file.

        Raises:
            RunNotFoundError: when there is none of a name.
        """
        names = [_name(run) for run in ([runs] if isinstance(runs, str | Run) else runs)]
        with as_promptflow(missing=RunNotFoundError), open_project(Path.cwd()) as services:
            path = Path(html_path) if html_path is not None else services.state / "pages" / f"{names[0]}.html"
            write_atomic(path, _built(services).page(names))
        if html_path is None:
            webbrowser.open(path.resolve().as_uri())
        return path

    def archive(self, name: str | Run) -> Run:
        """Leave a run out of lists; nothing of it is lost.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return Run.of(keeper.archive(_name(name), archived=True))

    def restore(self, name: str | Run) -> Run:
        """Take an archived run back into lists.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return Run.of(keeper.archive(_name(name), archived=False))

    def cancel(self, name: str | Run) -> Run:
        """Ask the process that works on a run to stop; its rows are kept.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return Run.of(keeper.cancel(_name(name)))

    def update(
        self,
        name: str | Run,
        display_name: str | None = None,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        **_: Any,
    ) -> Run:
        """Give a run another display name, description or tags; what is not given stays.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return Run.of(keeper.update(_name(name), display_name, description, tags))

    def delete(self, name: str | Run) -> None:
        """Forget a run and its rows.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            keeper.delete(_name(name))

    def export(self, name: str | Run, folder: str | Path) -> tuple[Path, ...]:
        """Write a run's rows into a folder as prompt flow does, and return the files.

        Raises:
            RunNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return keeper.export(_name(name), Path(folder))

    def _record(self, name: str | Run) -> RunRecord:
        with as_promptflow(missing=RunNotFoundError), _keeper() as keeper:
            return keeper.get(_name(name))


@contextmanager
def _keeper() -> Generator[RunKeeper]:
    with open_project(Path.cwd()) as services:
        yield _built(services)


def _built(services: Services) -> RunKeeper:
    return plugins.load(KEEPERS, "runs").build(services)


def _waited(work: Callable[[RunKeeper], Any]) -> Any:
    """Run async work on the keeper of the working directory's project."""

    async def go() -> Any:
        with open_project(Path.cwd()) as services:
            try:
                return await work(_built(services))
            finally:
                await services.get(ModelService).aclose()

    return blocking(go)


def _name(run: str | Run) -> str:
    name = run.name if isinstance(run, Run) else run
    if not isinstance(name, str) or not name:
        raise UserErrorException(f"a run is named by its name, not by {run!r}")
    return name


def _request(run: Run) -> RunRequest:
    """Return what a run asks for, checked as far as it can be without the project."""
    if not run.data and not run.run:
        raise UserError("a run needs rows", expected="data=<file>, or run=<name> to judge an earlier run")
    if run.data and not str(run.data).startswith("dataset:") and not Path(run.data).exists():
        raise DataError(f"there is no data at '{run.data}'", expected="a csv, tsv, json, jsonl or parquet file")
    path, live = client_flow(run.flow, run.code)
    init = dict(run.init)
    if any(not isinstance(value, str | int | float | bool | list | dict | None) for value in init.values()):
        # Objects are for this process alone: a run's record holds what can be read again.
        live = live or load_flow(path)
    return RunRequest(
        flow=path,
        live=live,
        data=str(run.data) if run.data else None,
        run=_name(run.run) if run.run else None,
        column_mapping=run.column_mapping,
        variant=run.variant,
        connections=_plain(run.connections),
        environment_variables={key: str(value) for key, value in run.environment_variables.items()},
        init=init,
        name=run.name or None,
        display_name=run.display_name,
        description=run.description,
        tags={key: str(value) for key, value in run.tags.items()},
    )


def client_flow(flow: Any, code: str | Path | None = None) -> tuple[str, Flow | None]:
    """Return a flow's path, or its name and the flow itself where it is an object or ``module:name``.

    Args:
        flow: What the client was given.
        code: The folder of ``module:name``; the working directory by default.

    Raises:
        FlowError: when it is no flow.
    """
    if isinstance(flow, FlowFunction):
        is_file = flow.flow.target is None and flow.flow.prompty is None
        return str(flow.path), None if is_file else flow.flow
    if callable(flow):
        live = load_flow(cast("Any", flow))
        return live.entry or live.name, live
    if not isinstance(flow, str | Path):
        raise FlowError("flow is required to create a run", expected="a path, module:function, a function or a class")
    if Path(flow).exists():
        return str(Path(flow).resolve()), None
    if ":" not in str(flow):
        raise FlowError(f"Flow path {flow} does not exist and it's not a valid entry point.")
    return str(flow), load_module(Path(code or ".").resolve(), str(flow))


def _plain(connections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for node, values in connections.items():
        for key, value in dict(values).items():
            if isinstance(value, PromptflowConnection):
                raise UserError(
                    f"the node '{node}' of a run is given a connection object",
                    expected="the name of a connection of the project: a run's record must be readable again",
                )
            found.setdefault(node, {})[key] = value
    return found


def _columns(rows: list[RunLine], mapped: Iterable[str]) -> dict[str, list[Any]]:
    """Return rows by column, in prompt flow's order: mapped inputs, the line, inputs by default, outputs."""
    known = dict.fromkeys(key for row in rows for key in row.inputs)
    first = [key for key in mapped if key in known]
    columns: dict[str, list[Any]] = {f"inputs.{key}": [row.inputs.get(key) for row in rows] for key in first}
    columns["inputs.line_number"] = [row.number for row in rows]
    for key in known:
        columns.setdefault(f"inputs.{key}", [row.inputs.get(key) for row in rows])
    for key in dict.fromkeys(key for row in rows for key in row.outputs):
        columns[f"outputs.{key}"] = [row.outputs.get(key) if row.is_completed else _FAILED for row in rows]
    return columns
