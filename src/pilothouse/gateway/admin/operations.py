"""All that can be asked of the gateway over HTTP."""

from __future__ import annotations

from typing import Final

from pilothouse.access.doors import Operation
from pilothouse.gateway.admin import audit, explaining, feedback, keys, ledger, limits, replaying, routes

OPERATIONS: Final[tuple[Operation, ...]] = (
    *keys.OPERATIONS,
    *routes.OPERATIONS,
    *limits.OPERATIONS,
    *ledger.OPERATIONS,
    *explaining.OPERATIONS,
    *replaying.OPERATIONS,
    *feedback.OPERATIONS,
    *audit.OPERATIONS,
)
