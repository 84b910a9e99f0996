"""A runner with what the project gives it: connections, tracer, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.flows.cache import NodeCache
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService
from pilothouse.tracing.service import TracingService

_LINE_TIMEOUT = "PF_LINE_TIMEOUT_SEC"
_SANDBOX = "PF_USE_SANDBOX_FOR_JINJA"


def project_runner(
    services: Services,
    flow: Flow,
    *,
    variants: Mapping[str, str] | None = None,
    connections: Mapping[str, Mapping[str, Any]] | None = None,
    cache: NodeCache | None = None,
    models: ModelLookup | None = None,
) -> FlowRunner:
    """Return a runner of a flow, with the project's connections (or ``models``), tracer and settings.

    Raises:
        FlowError: for an unknown node or variant.
    """
    return FlowRunner(
        flow,
        models=models or services.get(ModelService),
        variants=variants,
        tracer=services.get(TracingService).tracer,
        cache=cache,
        connections=connections,
        settings=flow_settings(services.settings.section(FlowSettings), services.settings.environment),
    )


def flow_settings(settings: FlowSettings, environment: Environment) -> FlowSettings:
    """Return the settings with what prompt flow's own variables say.

    Raises:
        ConfigError: when a time limit is not a number.
    """
    limit = environment.get(_LINE_TIMEOUT)
    if limit:
        try:
            settings = replace(settings, line_timeout=float(limit))
        except ValueError as error:
            raise ConfigError(f"{_LINE_TIMEOUT} is '{limit}'", expected="seconds, as a number") from error
    if environment.get(_SANDBOX, "").lower() == "false":
        settings = replace(settings, sandbox=False)
    return settings
