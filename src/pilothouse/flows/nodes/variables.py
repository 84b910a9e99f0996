"""Environment variables that a flow sets for its code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pilothouse.core import environment
from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.types import Flow

_REFERENCE = re.compile(r"\$\{(?P<connection>[^.{}]+)\.(?P<key>[^.{}]+)\}")

Export = Callable[[Mapping[str, str]], None]
_export: Export | None = getattr(environment, "export", None)


def resolved_variables(flow: Flow, models: ModelLookup | None) -> dict[str, str]:
    """Return the flow's environment variables; ``${connection.key}`` becomes that field of the connection.

    Raises:
        FlowError: for a field that the connection does not have.
        ConnectionFault: for a connection that is missing or incomplete.
    """
    return {name: _resolved(flow, name, text, models) for name, text in flow.environment_variables.items()}


def set_variables(values: Mapping[str, str]) -> str | None:
    """Set variables of this process, before the flow's code is imported; return a note when that is not possible."""
    if not values:
        return None
    if _export is None:
        return f"the environment variables {', '.join(values)} are not set: this installation cannot set any"
    _export(values)
    return None


def _resolved(flow: Flow, name: str, text: str, models: ModelLookup | None) -> str:
    match = _REFERENCE.fullmatch(text.strip())
    if match is None or models is None:
        return text
    connection = models.connection(match["connection"])
    value = connection.get(match["key"])
    if not value:
        raise FlowError(
            f"the environment variable {name} reads '{match['key']}', which the connection does not have",
            where=str(flow.path),
            expected=nearest_hint(match["key"], [*connection.configs, *connection.secrets]),
        )
    return value
