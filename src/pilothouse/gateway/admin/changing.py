"""Changes of the gateway's configuration, each with its row in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from pilothouse.access.audit.service import AuditService
from pilothouse.access.refusals import Changed
from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict
from pilothouse.core.services import Services
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.types import ActiveConfig

Weighed = Literal["weights", "arms"]
Verb = Callable[[ConfigService, int], ActiveConfig]
"""Told the service, on behalf of who acts, and the version that the change was decided on."""


def change_config(
    services: Services, actor: Actor, action: str, verb: Verb, *, seen: int | None = None
) -> ActiveConfig:
    """Change what is in force, and record who did it and what became different.

    Args:
        services: The project.
        actor: Who wants it.
        action: As the audit log names it.
        verb: Makes the change; may raise to leave everything as it is.
        seen: The version that was read before; None for whichever is in force.

    Raises:
        Changed: when another version is in force than the one that was seen.
        ConfigError, NotFound, Conflict: when the change must not be.
    """
    service = services.get(ConfigService).acting(actor)
    if service.active_number() is None:
        service.start()
    before = service.active().version.number
    if seen is not None and seen != before:
        raise Changed(
            "another version of the configuration is in force",
            expected=f"version {before}, not {seen}",
            fix="read it again and decide anew",
        )
    try:
        after = verb(service, before)
    except Conflict as conflict:
        if seen is not None and service.active_number() != seen:
            raise Changed(conflict.message, expected=conflict.expected, fix=conflict.fix) from conflict
        raise
    number = after.version.number
    changes = msgspec.to_builtins(service.diff(before, number))
    services.get(AuditService).record(
        action,
        f"config/{number}",
        before={"version": before},
        after={"version": number, "changes": changes},
        actor=actor,
    )
    return after


def reweigh(what: Weighed, route: str, shares: Mapping[str, float], note: str) -> tuple[str, Verb]:
    """Return the change of a route's weights, or of its experiment's arms, and what the audit log calls it."""

    def verb(service: ConfigService, seen: int) -> ActiveConfig:
        change = service.set_weights if what == "weights" else service.set_arms
        return change(route, shares, note=note, expected=seen)

    return f"route.{what}", verb


def configuration(services: Services) -> ActiveConfig | None:
    """Return what is in force; None where no gateway of the project was ever started or changed."""
    service = services.get(ConfigService)
    return None if service.active_number() is None else service.active()
