"""Pilothouse: build a flow, try variants on data, judge them with sound statistics, trace all of it.

>>> import pilothouse as ph

Names are fetched from their rooms on first use: importing the package wakes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pilothouse.core.version import VERSION

if TYPE_CHECKING:
    from pilothouse.datasets.service import DatasetService as DatasetService
    from pilothouse.evaluation.service import EvaluationService as EvaluationService
    from pilothouse.evaluation.types import LabelPair as LabelPair
    from pilothouse.evaluation.types import Score as Score
    from pilothouse.experiments.runs.service import RunService as RunService
    from pilothouse.experiments.runs.types import RunSpec as RunSpec
    from pilothouse.experiments.service import ExperimentService as ExperimentService
    from pilothouse.experiments.testing.decorator import evaluate as evaluate
    from pilothouse.flows.flex.configurations import AzureOpenAIModelConfiguration as AzureOpenAIModelConfiguration
    from pilothouse.flows.flex.configurations import OpenAIModelConfiguration as OpenAIModelConfiguration
    from pilothouse.flows.function import load_function as load_function
    from pilothouse.flows.loader import load_flow as load_flow
    from pilothouse.flows.recording import log_metric as log_metric
    from pilothouse.flows.service import FlowService as FlowService
    from pilothouse.flows.tool import tool as tool
    from pilothouse.models.service import ModelService as ModelService
    from pilothouse.registry.service import RegistryService as RegistryService
    from pilothouse.tracing.decorator import trace as trace
    from pilothouse.tracing.service import TracingService as TracingService
    from pilothouse.workspace import Workspace as Workspace

__version__ = VERSION

_HOME = {
    "AzureOpenAIModelConfiguration": "pilothouse.flows.flex.configurations",
    "DatasetService": "pilothouse.datasets.service",
    "EvaluationService": "pilothouse.evaluation.service",
    "ExperimentService": "pilothouse.experiments.service",
    "FlowService": "pilothouse.flows.service",
    "LabelPair": "pilothouse.evaluation.types",
    "ModelService": "pilothouse.models.service",
    "OpenAIModelConfiguration": "pilothouse.flows.flex.configurations",
    "RegistryService": "pilothouse.registry.service",
    "RunService": "pilothouse.experiments.runs.service",
    "RunSpec": "pilothouse.experiments.runs.types",
    "Score": "pilothouse.evaluation.types",
    "TracingService": "pilothouse.tracing.service",
    "Workspace": "pilothouse.workspace",
    "evaluate": "pilothouse.experiments.testing.decorator",
    "load_flow": "pilothouse.flows.loader",
    "load_function": "pilothouse.flows.function",
    "log_metric": "pilothouse.flows.recording",
    "tool": "pilothouse.flows.tool",
    "trace": "pilothouse.tracing.decorator",
}

__all__ = [
    "AzureOpenAIModelConfiguration",
    "DatasetService",
    "EvaluationService",
    "ExperimentService",
    "FlowService",
    "LabelPair",
    "ModelService",
    "OpenAIModelConfiguration",
    "RegistryService",
    "RunService",
    "RunSpec",
    "Score",
    "TracingService",
    "Workspace",
    "__version__",
    "evaluate",
    "load_flow",
    "load_function",
    "log_metric",
    "tool",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pilothouse' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
