"""A flow opened for a run, alike wherever its rows run."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from pilothouse.core.services import Services
from pilothouse.experiments.runs.engine.spans import RunTracer
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.flows.cache import NodeCache
from pilothouse.flows.project import flow_settings
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService
from pilothouse.tracing.service import TracingService


def run_limits(services: Services, spec: RunSpec) -> FlowSettings:
    """Return the settings of the flows of a project, with the time limit that a run asks for.

    Raises:
        ConfigError: when prompt flow's own variable for it is not a number.
    """
    settings = flow_settings(services.settings.section(FlowSettings), services.settings.environment)
    return replace(settings, line_timeout=spec.timeout or settings.line_timeout)


def run_flow(
    services: Services,
    run: str,
    flow: Flow,
    spec: RunSpec,
    cache: NodeCache | None,
    make: Callable[..., FlowRunner] = FlowRunner,
) -> FlowRunner:
    """Return the runner of a flow for a run, not yet open.

    Args:
        services: The project.
        run: The run's name.
        flow: The flow, its variants chosen.
        spec: What was asked.
        cache: Answers in place of nodes.
        make: Gives the runner; called as `FlowRunner` is.
    """
    return make(
        flow,
        models=services.get(ModelService),
        tracer=RunTracer(services.get(TracingService).tracer, run, spec),
        cache=cache,
        connections=spec.connections,
        settings=run_limits(services, spec),
    )
