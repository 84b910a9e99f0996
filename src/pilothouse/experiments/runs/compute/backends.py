"""Where the rows of a run go: what was asked, what the project says, and what prompt flow's own variables say."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, chdir

from msgspec import Struct

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.experiments.runs.cache import RunNodeCache
from pilothouse.experiments.runs.engine.backend import Backend, InProcess
from pilothouse.experiments.runs.engine.opening import run_flow, run_limits
from pilothouse.experiments.runs.engine.plan import Plan
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.isolation.pool import PoolOptions, WorkerPool
from pilothouse.experiments.runs.isolation.processes import START_METHODS, StartMethod, default_method
from pilothouse.experiments.runs.isolation.types import Opening
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.types import Isolation, Run, RunSpec
from pilothouse.flows.runner import FlowRunner

_METHOD = "PF_BATCH_METHOD"
_WORKERS = "PF_WORKER_COUNT"

#: Processes where nobody says how many: prompt flow's number, or one for each processor.
FEWEST = 4


class Choice(Struct, frozen=True, kw_only=True):
    """Where the rows of a run go.

    Attributes:
        isolation: Here, or in processes.
        workers: Processes at most.
        method: How they are started.
        notes: What the user should know about it.
    """

    isolation: Isolation
    workers: int
    method: StartMethod
    notes: tuple[str, ...] = ()


def choose(spec: RunSpec, settings: RunSettings, environment: Environment, *, is_bound: bool = False) -> Choice:
    """Return where the rows of a run go: the run decides, then the project, then prompt flow's variables.

    Args:
        spec: The run.
        settings: The project's.
        environment: Where prompt flow's variables are.
        is_bound: Whether the flow, or what runs it, is an object of this process, which no other process has.

    Raises:
        ConfigError: when one of those variables has no meaning, or processes are asked for that cannot be had.
    """
    method = _method(environment)
    if is_bound and spec.isolation == "process":
        raise ConfigError(
            "a flow that is an object of this process cannot run in another",
            expected="isolation: none",
            fix="put the function into a file and name it as module:function",
        )
    asked = "none" if is_bound else spec.isolation or settings.isolation
    notes = ()
    if asked is None and method is not None:
        notes = (f"{_METHOD} asks for worker processes: rows run as with --isolation process",)
    return Choice(
        isolation=asked or ("none" if method is None else "process"),
        workers=settings.workers or _workers(environment) or max(FEWEST, os.cpu_count() or 1),
        method=method or default_method(),
        notes=notes,
    )


class Backends:
    """Opens the backend of a run.

    Args:
        services: The project.
        make: Gives the runner of a flow; called as `FlowRunner` is.
    """

    def __init__(self, services: Services, make: Callable[..., FlowRunner] = FlowRunner) -> None:
        self._services = services
        self._make = make
        self._settings = services.settings.section(RunSettings)

    def choose(self, plan: Plan) -> Choice:
        """Return where the rows of a run go.

        Raises:
            ConfigError: see `choose`.
        """
        is_bound = plan.flow.target is not None or self._make is not FlowRunner
        return choose(plan.spec, self._settings, self._services.settings.environment, is_bound=is_bound)

    @asynccontextmanager
    async def open(self, run: Run, plan: Plan, cache: RunNodeCache | None, stop: Stop) -> AsyncGenerator[Backend]:
        """Open the flow of a run where its rows are to be run.

        Raises:
            UserError: when the flow cannot be opened.
            UserCodeError: when importing its code fails.
        """
        services, settings, spec = self._services, self._settings, plan.spec
        choice = self.choose(plan)
        if choice.isolation == "none":
            async with run_flow(services, run.name, plan.flow, spec, cache, self._make) as runner:
                # Tools that open files by relative names find them, as in `flow test`.
                with chdir(runner.folder):
                    yield InProcess(runner, settings)
            return
        opening = Opening(
            root=services.root,
            state=services.state,
            variables=dict(services.settings.environment),
            run=run.name,
            flow=plan.flow,
            spec=spec,
            has_cache=cache is not None,
        )
        options = PoolOptions(
            workers=choice.workers,
            method=choice.method,
            timeout=run_limits(services, spec).line_timeout,
            grace=settings.grace,
        )
        async with WorkerPool(opening, options, cache=cache, stop=stop) as pool:
            yield pool


def _method(environment: Environment) -> StartMethod | None:
    given = environment.get(_METHOD, "").strip().lower()
    if not given:
        return None
    for method in START_METHODS:
        if method == given:
            return method
    raise ConfigError(f"{_METHOD} is '{given}'", expected=" or ".join(START_METHODS))


def _workers(environment: Environment) -> int | None:
    given = environment.get(_WORKERS, "").strip()
    if not given:
        return None
    if not given.isdigit() or int(given) < 1:
        raise ConfigError(f"{_WORKERS} is '{given}'", expected="a number of processes, at least 1")
    return int(given)
