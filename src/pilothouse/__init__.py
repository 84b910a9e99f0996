"""Pilothouse: build a flow, try variants on data, judge them with sound statistics, trace all of it.

>>> import pilothouse as ph

Names are fetched from their rooms on first use: importing the package wakes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pilothouse.core.version import VERSION

if TYPE_CHECKING:
    from pilothouse.evaluation.types import Score as Score
    from pilothouse.experiments.runs.types import RunSpec as RunSpec
    from pilothouse.flows.loader import load_flow as load_flow
    from pilothouse.flows.recording import log_metric as log_metric
    from pilothouse.flows.tool import tool as tool
    from pilothouse.tracing.decorator import trace as trace
    from pilothouse.workspace import Workspace as Workspace

__version__ = VERSION

_HOME = {
    "RunSpec": "pilothouse.experiments.runs.types",
    "Score": "pilothouse.evaluation.types",
    "Workspace": "pilothouse.workspace",
    "load_flow": "pilothouse.flows.loader",
    "log_metric": "pilothouse.flows.recording",
    "tool": "pilothouse.flows.tool",
    "trace": "pilothouse.tracing.decorator",
}

__all__ = ["RunSpec", "Score", "Workspace", "__version__", "load_flow", "log_metric", "tool", "trace"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pilothouse' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
