"""Connections `anthropic`, `vertex`, `bedrock`: flows reach them through the gateway, which speaks their forms."""

from __future__ import annotations

from typing import NoReturn

from pilothouse.core.errors import ConnectionFault
from pilothouse.models.client import ProviderContext
from pilothouse.models.types import Connection


def build(connection: Connection, context: ProviderContext) -> NoReturn:
    """Refuse, and say by which way it is done.

    Raises:
        ConnectionFault: always.
    """
    raise through_gateway(connection)


def through_gateway(connection: Connection) -> ConnectionFault:
    """Return the error that says how a flow uses a connection that only the gateway speaks to."""
    return ConnectionFault(
        f"a flow cannot call the connection '{connection.name}' (type {connection.type}) itself: the gateway can",
        where=connection.where or None,
        expected="a connection of type open_ai that points at the gateway",
        fix="pilothouse gateway serve; then a connection with `type: open_ai`, `base_url: http://127.0.0.1:4000/v1`"
        " and, where the gateway asks for one, a virtual key as `api_key`",
    )
