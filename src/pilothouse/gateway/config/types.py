"""Nouns of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from pilothouse.core.errors import ConfigError
from pilothouse.gateway.routing.types import Route
from pilothouse.gateway.settings import GatewaySettings


class RouteTable(Struct, frozen=True, kw_only=True):
    """All routes of one configuration, ready to be asked.

    Attributes:
        settings: As configured.
        routes: By every name a client may use, aliases included.
        open_routes: By connection: a route whose one deployment serves any model, the client's ``connection/model``;
            empty where routes are configured.
        skipped: Connections that were left out, and why; only where no routes are configured.
    """

    settings: GatewaySettings
    routes: Mapping[str, Route]
    open_routes: Mapping[str, Route]
    skipped: Mapping[str, str]

    def models(self) -> tuple[str, ...]:
        """Return the names a client may ask for, sorted; ``connection/*`` for one that serves any model."""
        return tuple(sorted((*self.routes, *(f"{name}/*" for name in self.open_routes))))


class ConfigErrors(ConfigError):
    """All that is wrong with a configuration, at once.

    Attributes:
        problems: One error each, with its place.
    """

    def __init__(self, problems: list[ConfigError]) -> None:
        first = problems[0]
        if len(problems) == 1:
            super().__init__(first.message, where=first.where, expected=first.expected, fix=first.fix)
        else:
            listed = "\n".join(f"- {problem}" for problem in problems)
            super().__init__(f"the gateway's configuration has {len(problems)} mistakes:\n{listed}")
        self.problems = tuple(problems)


Origin = Literal["file", "edit"]


class ConfigVersion(Struct, frozen=True, kw_only=True):
    """One state of the configuration.

    Attributes:
        number: 1, 2, 3 without gaps.
        digest: SHA-256 of its canonical JSON.
        created_at: When it first came up.
        actor: Who made it.
        origin: ``file`` for what `pilothouse.yaml` said, ``edit`` for a change made while serving.
        note: Why, in the words of who made it.
        active: Whether it is in force.
    """

    number: int
    digest: str
    created_at: datetime
    actor: str
    origin: Origin
    note: str
    active: bool


class ConfigChange(Struct, frozen=True, kw_only=True):
    """One difference between two configurations.

    Attributes:
        path: Where, as ``routes.chat.deployments.0.weight``.
        before: The value there; None where there was none.
        after: The value there now; None where there is none any more.
    """

    path: str
    before: Any
    after: Any


class ConfigMove(Struct, frozen=True, kw_only=True):
    """One move of what is in force.

    Attributes:
        number: The version from then on.
        previous: The version before; None for the first.
        changed_at: When.
        actor: By whom.
    """

    number: int
    previous: int | None
    changed_at: datetime
    actor: str


class ActiveConfig(Struct, frozen=True, kw_only=True):
    """The configuration in force.

    Attributes:
        version: Which.
        settings: The whole section, with the host, port and the like of this process's `pilothouse.yaml`.
        source: What became of `pilothouse.yaml` at start: ``same`` as the active version came from, ``new`` and now
            active, or ``unknown`` where only a version was asked for.
        replaced: Edits made while serving that a new file put out of force.
    """

    version: ConfigVersion
    settings: GatewaySettings
    source: Literal["same", "new", "unknown"] = "unknown"
    replaced: tuple[ConfigChange, ...] = ()
