"""`promptflow.client.PFClient`: flows tried and run over data from scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pilothouse.flows.client.connections import ConnectionOperations
from pilothouse.flows.client.entities import Run
from pilothouse.flows.client.flows import FlowOperations
from pilothouse.flows.client.runs import MAX_DETAILS, RunOperations
from pilothouse.flows.promptflow.faults import UserErrorException

FlowLike = str | Path | Callable[..., Any]

_LIVES = "Pilothouse keeps traces itself: pilothouse trace list, pilothouse trace show, or pilothouse.TracingService"


class TraceOperations:
    """Prompt flow's verbs on traces, each answered with where the traces are."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserErrorException(f"'traces.{name}' is not part of what Pilothouse offers of prompt flow; {_LIVES}")


class PFClient:
    """Prompt flow's client on the project that the working directory lies in.

    It may be used anywhere, in a notebook too. Each verb opens the project and closes it again.

    Attributes:
        runs: Verbs on runs.
        flows: Verbs on flows.
        connections: Verbs on connections.
        traces: Where to find traces.
    """

    def __init__(self, **_: Any) -> None:
        self.runs = RunOperations()
        self.flows = FlowOperations()
        self.connections = ConnectionOperations()
        self.traces = TraceOperations()

    def run(
        self,
        flow: FlowLike | None = None,
        *,
        data: str | Path | None = None,
        run: str | Run | None = None,
        resume_from: str | Run | None = None,
        name: str | None = None,
        stream: bool = False,
        **more: Any,
    ) -> Run:
        """Run a flow over rows, wait for its end, and return the run.

        Failed rows do not raise: ``status`` is then ``CompletedWithErrors``, or ``Failed`` when no row was completed.

        Args:
            flow: Its path, ``module:function``, a function, a class, or an instance.
            data: A file or folder of rows.
            run: An earlier run whose outputs are judged.
            resume_from: A run whose completed rows are kept; only names and tags go with it.
            name: A unique name.
            stream: Print how it ended.
            more: ``column_mapping``, ``variant``, ``connections``, ``environment_variables``, ``init``,
                ``display_name``, ``description``, ``tags``, ``code``.

        Raises:
            ValueError: when flow, data or run is missing, or does not go with ``resume_from``.
            FileNotFoundError: when there is no data at ``data``.
            UserErrorException: when something that is asked for cannot be used.
        """
        if resume_from is not None:
            words = {key: more.pop(key, None) for key in ("display_name", "description", "tags")}
            beside = [key for key, value in {"flow": flow, "data": data, "run": run, **more}.items() if value]
            if beside:
                raise ValueError(f"'resume_from' is not supported to be used with: {', '.join(beside)}")
            made = self.runs.resume_from(resume_from, name=name, **words)
            return self.runs.stream(made, raise_on_error=False) if stream else made
        if flow is None or flow == "":
            raise ValueError("'flow' is required to create a run.")
        if data and not str(data).startswith("dataset:") and not Path(data).exists():
            raise FileNotFoundError(f"data path {data} does not exist")
        if not data and not run:
            raise ValueError("at least one of data or run must be provided")
        return self.runs.create_or_update(Run(flow, name, data=data, run=run, **more), stream=stream)

    def test(
        self,
        flow: FlowLike,
        *,
        inputs: Mapping[str, Any] | str | Path | None = None,
        variant: str | None = None,
        node: str | None = None,
        environment_variables: Mapping[str, Any] | None = None,
        init: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a flow, or one node of it, on one input; takes and raises what `FlowOperations.test` does."""
        return self.flows.test(
            flow, inputs=inputs, variant=variant, node=node, environment_variables=environment_variables, init=init
        )

    def stream(self, run: str | Run, raise_on_error: bool = True) -> Run:
        """Print how a run ended, and return it.

        Raises:
            InvalidRunStatusError: when it failed or was cancelled, if ``raise_on_error``.
        """
        return self.runs.stream(run, raise_on_error)

    def get_details(self, run: str | Run, max_results: int = MAX_DETAILS, all_results: bool = False) -> Any:
        """Return rows as a pandas DataFrame; raises what `RunOperations.get_details` does."""
        return self.runs.get_details(run, max_results, all_results)

    def get_metrics(self, run: str | Run) -> dict[str, float]:
        """Return what a run's aggregation logged."""
        return self.runs.get_metrics(run)

    def visualize(self, runs: str | Run | Sequence[str | Run], **more: Any) -> Path:
        """Write a page of runs and open it in a browser; takes and raises what `RunOperations.visualize` does."""
        return self.runs.visualize(runs, **more)
