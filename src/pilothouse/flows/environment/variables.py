"""Environment variables that a flow sets for its code."""

from __future__ import annotations

import re

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.types import Flow

_REFERENCE = re.compile(r"\$\{(?P<connection>[^.{}]+)\.(?P<key>[^.{}]+)\}")


def resolved_variables(flow: Flow, models: ModelLookup | None) -> dict[str, str]:
    """Return the flow's environment variables; ``${connection.key}`` becomes that field of the connection.

    Raises:
        FlowError: for a field that the connection does not have.
        ConnectionFault: for a connection that is missing or incomplete.
    """
    return {name: _resolved(flow, name, text, models) for name, text in flow.environment_variables.items()}


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
