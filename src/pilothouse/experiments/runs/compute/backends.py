"""Where the rows of a run go: what was asked, what the project says, and what prompt flow's own variables say."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager, chdir

from msgspec import Struct

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.segments import FOLDER as SEGMENTS
from pilothouse.core.storage.segments import new_segment
from pilothouse.experiments.runs.cache import RunNodeCache
from pilothouse.experiments.runs.compute.link import RayLink
from pilothouse.experiments.runs.compute.pool import RayOptions, RayPool
from pilothouse.experiments.runs.compute.shipment import pack, variables
from pilothouse.experiments.runs.compute.types import LOCAL, RAY, check_compute
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
from pilothouse.tracing.service import FOLDER as TELEMETRY

_METHOD = "PF_BATCH_METHOD"
_WORKERS = "PF_WORKER_COUNT"

#: Processes where nobody says how many: prompt flow's number, or one for each processor.
FEWEST = 4


class Choice(Struct, frozen=True, kw_only=True):
    """Where the rows of a run go.

    Attributes:
        isolation: Here, or in processes. On Ray rows are always in processes, which are Ray's.
        compute: On this machine, or on a Ray.
        workers: Processes at most; None on Ray for one on each processor.
        method: How they are started, where Ray does not.
        notes: What the user should know about it.
    """

    isolation: Isolation
    compute: str = LOCAL
    workers: int | None
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
    compute = check_compute(spec.compute or settings.compute, "compute" if spec.compute else "runs.compute")
    if compute != LOCAL and not (is_bound and spec.compute is None):
        return _on_ray(spec, settings, compute, is_bound=is_bound)
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
        workers=spec.workers or settings.workers or _workers(environment) or max(FEWEST, os.cpu_count() or 1),
        method=method or default_method(),
        notes=notes,
    )


def _on_ray(spec: RunSpec, settings: RunSettings, compute: str, *, is_bound: bool) -> Choice:
    """Return that rows go to Ray.

    Raises:
        ConfigError: when they cannot.
    """
    if is_bound:
        raise ConfigError(
            "a flow that is an object of this process cannot run on Ray",
            expected="compute: local",
            fix="put the function into a file and name it as module:function",
        )
    if spec.isolation == "process":
        raise ConfigError(
            "rows on Ray are in Ray's own processes",
            where="isolation: process",
            expected=f"compute: {compute} or isolation: process, not both",
            fix="leave --isolation out; or compute here: --compute local",
        )
    return Choice(isolation="none", compute=compute, workers=spec.workers or settings.workers, method=default_method())


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
        if choice.compute != LOCAL:
            async with self._on_ray(run, plan, choice, cache, stop) as pool:
                yield pool
            return
        if choice.isolation == "none":
            async with run_flow(services, run.name, plan.flow, spec, cache, self._make) as runner:
                # Tools that open files by relative names find them, as in `flow test`.
                with chdir(runner.folder):
                    yield InProcess(runner, settings)
            return
        opening = self._opening(run, plan, dict(services.settings.environment), has_cache=cache is not None)
        options = PoolOptions(
            workers=choice.workers or FEWEST,
            method=choice.method,
            timeout=run_limits(services, spec).line_timeout,
            grace=settings.grace,
        )
        async with WorkerPool(opening, options, cache=cache, stop=stop) as pool:
            yield pool

    def _opening(self, run: Run, plan: Plan, known: dict[str, str], *, has_cache: bool) -> Opening:
        return Opening(
            root=self._services.root,
            state=self._services.state,
            variables=known,
            run=run.name,
            flow=plan.flow,
            spec=plan.spec,
            has_cache=has_cache,
        )

    @asynccontextmanager
    async def _on_ray(
        self, run: Run, plan: Plan, choice: Choice, cache: RunNodeCache | None, stop: Stop
    ) -> AsyncGenerator[Backend]:
        services = self._services
        # A Ray of our own sees this very folder; the machines of a cluster need not.
        is_here = choice.compute == RAY
        known = dict(services.settings.environment) if is_here else variables(services, plan.flow)
        opening = self._opening(run, plan, known, has_cache=cache is not None)
        with ExitStack() as stack:
            options = RayOptions(
                compute=choice.compute,
                workers=choice.workers,
                timeout=run_limits(services, plan.spec).line_timeout,
                settings=self._settings,
                shipment=None if is_here else pack(services, plan.flow),
                spans=None if is_here else stack.enter_context(_segment(services)),
            )
            async with RayPool(opening, options, services.get(RayLink), cache=cache, stop=stop) as pool:
                yield pool


def _segment(services: Services) -> AppendLog:
    """Return a file of the trace log for the spans that workers elsewhere send."""
    folder = services.state / TELEMETRY / SEGMENTS
    folder.mkdir(parents=True, exist_ok=True)
    return new_segment(folder)


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
