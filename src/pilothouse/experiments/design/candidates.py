"""Candidates as the variants of an experiment: the same flow, data and evaluators, another model in its nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import ConfigError, UserError, nearest_hint
from pilothouse.flows.types import Flow
from pilothouse.models.types import Connection

DEPLOYED = ("azure_open_ai",)
"""Types of connections that name a model by its deployment."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A model behind a connection.

    Attributes:
        connection: Name of the connection.
        model: The model, or its deployment; None = the one that the connection names.
    """

    connection: str
    model: str | None = None

    @property
    def name(self) -> str:
        """What the variant is called."""
        return self.connection if self.model is None else f"{self.connection}.{self.model.replace('/', '.')}"


def read_candidate(text: str) -> Candidate:
    """Read ``CONNECTION`` or ``CONNECTION:MODEL``.

    Raises:
        UserError: when the connection is missing.
    """
    connection, _, model = text.partition(":")
    if not connection.strip():
        raise UserError(f"'{text}' names no connection", where="--candidate", expected="CONNECTION or CONNECTION:MODEL")
    return Candidate(connection=connection.strip(), model=model.strip() or None)


def variants_of(
    flow: Flow,
    candidates: Sequence[Candidate],
    connection: Callable[[str], Connection],
    nodes: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Return named variants, as an experiment file writes them: name -> setting -> value.

    Args:
        flow: The flow.
        candidates: What is compared, the baseline first; at least two.
        connection: Finds a connection by its name.
        nodes: Whose model is exchanged; every node that asks a model when empty.

    Raises:
        ConfigError: for a flow whose model is not a node's, or a node that asks none.
        UserError: for fewer than two candidates, or two that are the same.
        ConnectionFault: for a connection that does not exist or names no model.
    """
    if len(candidates) < 2:
        raise UserError("one candidate has nothing to be compared with", expected="--candidate twice or more")
    asking = _asking(flow, nodes)
    found: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        if candidate.name in found:
            raise UserError(f"two candidates are '{candidate.name}'", where="--candidate")
        known = connection(candidate.connection)
        found[candidate.name] = {
            f"{node}.{key}": value for node in asking for key, value in _settings(candidate, known).items()
        }
    return found


def _asking(flow: Flow, nodes: Sequence[str]) -> list[str]:
    asking = [node.name for node in flow.nodes if node.type in {"llm", "custom_llm"}]
    if not asking:
        raise ConfigError(
            f"no node of '{flow.name}' asks a model by a connection of its own",
            expected="a flow with llm nodes, or a prompty",
            fix="vary the setting that names the model, with `axes` in an experiment file",
        )
    for node in nodes:
        if node not in asking:
            raise ConfigError(f"the node '{node}' asks no model", where="--node", expected=nearest_hint(node, asking))
    return list(nodes) or asking


def _settings(candidate: Candidate, connection: Connection) -> dict[str, Any]:
    key = "deployment_name" if connection.type in DEPLOYED else "model"
    model = candidate.model or connection.get("model")
    return {"connection": candidate.connection, **({key: model} if model else {})}
