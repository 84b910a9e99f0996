"""Routes and versions of the configuration over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from pilothouse.access.doors import Asked, Operation
from pilothouse.gateway.admin.changing import Weighed, change_config, configuration, reweigh
from pilothouse.gateway.config.service import ConfigService, route_name
from pilothouse.gateway.config.types import ActiveConfig, ConfigChange, ConfigMove, ConfigVersion
from pilothouse.gateway.settings import GatewaySettings, RouteSettings

_Weight = Annotated[float, Meta(ge=0)]


class Shares(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New weights; whoever is not named keeps its own.

    Attributes:
        weights: Deployment, or arm, to its weight.
        note: Why.
    """

    weights: dict[str, _Weight]
    note: str = ""


class Edit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of the configuration.

    Attributes:
        path: As ``routes.chat.timeouts.total``.
        value: Its new value; left out to let the default hold.
        note: Why.
    """

    path: str
    value: Any | UnsetType = UNSET
    note: str = ""


class Replacement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration.

    Attributes:
        document: ``routes``, ``limits``, ``guards``, ``capture``.
        note: Why.
    """

    document: dict[str, Any]
    note: str = ""


class Return(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to go back to.

    Attributes:
        number: The version; null for the one that was in force before.
    """

    number: int | None = None


class DiffQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two versions.

    Attributes:
        before: The first.
        after: The second.
    """

    before: int
    after: int


class ConfigAnswer(Struct, frozen=True, kw_only=True):
    """What is in force.

    Attributes:
        version: Which; its number is the ETag.
        document: ``routes``, ``limits``, ``guards``, ``capture``, without what is as by default.
    """

    version: ConfigVersion
    document: dict[str, Any]


def list_routes(asked: Asked) -> dict[str, RouteSettings]:
    """Return the routes in force by name."""
    return dict(_settings(asked).routes)


def show_route(asked: Asked) -> RouteSettings:
    """Return one route."""
    settings = _settings(asked)
    return settings.routes[route_name(settings, asked.path["name"])]


def show_config(asked: Asked) -> ConfigAnswer:
    """Return the configuration in force."""
    return _answer(asked, asked.services.get(ConfigService).active())


def list_versions(asked: Asked) -> list[ConfigVersion]:
    """Return every state there was, the oldest first."""
    return list(asked.services.get(ConfigService).versions())


def list_moves(asked: Asked) -> list[ConfigMove]:
    """Return what was in force from when on, the oldest first."""
    return list(asked.services.get(ConfigService).history())


def diff_versions(asked: Asked) -> list[ConfigChange]:
    """Return where two versions differ."""
    query: DiffQuery = asked.query
    return list(asked.services.get(ConfigService).diff(query.before, query.after))


def set_weights(asked: Asked) -> ConfigAnswer:
    """Change weights of a route's deployments."""
    return _reweighed(asked, "weights")


def set_arms(asked: Asked) -> ConfigAnswer:
    """Change weights of the arms of a route's experiment."""
    return _reweighed(asked, "arms")


def _reweighed(asked: Asked, what: Weighed) -> ConfigAnswer:
    shares: Shares = asked.body
    action, verb = reweigh(what, asked.path["name"], shares.weights, shares.note)
    return _answer(asked, change_config(asked.services, asked.acting.actor, action, verb, seen=asked.seen))


def edit_config(asked: Asked) -> ConfigAnswer:
    """Change one value."""
    edit: Edit = asked.body
    after = change_config(
        asked.services,
        asked.acting.actor,
        "config.edit",
        lambda service, seen: service.edit(edit.path, edit.value, note=edit.note, expected=seen),
        seen=asked.seen,
    )
    return _answer(asked, after)


def replace_config(asked: Asked) -> ConfigAnswer:
    """Put a whole configuration in force."""
    wanted: Replacement = asked.body
    after = change_config(
        asked.services,
        asked.acting.actor,
        "config.apply",
        lambda service, seen: service.apply(wanted.document, note=wanted.note, expected=seen),
        seen=asked.seen,
    )
    return _answer(asked, after)


def roll_back(asked: Asked) -> ConfigAnswer:
    """Put an earlier version in force again."""
    wanted: Return = asked.body
    after = change_config(
        asked.services,
        asked.acting.actor,
        "config.rollback",
        lambda service, seen: service.rollback(wanted.number, expected=seen),
        seen=asked.seen,
    )
    return _answer(asked, after)


def _settings(asked: Asked) -> GatewaySettings:
    active = configuration(asked.services)
    return active.settings if active else asked.services.settings.section(GatewaySettings)


def _answer(asked: Asked, active: ActiveConfig) -> ConfigAnswer:
    document = asked.services.get(ConfigService).document(active.version.number)
    return ConfigAnswer(version=active.version, document=document)


def _revision(answer: ConfigAnswer) -> int:
    return answer.version.number


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/routes",
        action="routes.read",
        summary="List routes by name",
        run=list_routes,
        answer=dict[str, RouteSettings],
    ),
    Operation(
        method="GET",
        path="/routes/{name}",
        action="routes.read",
        summary="Show a route by its name or an alias",
        run=show_route,
        answer=RouteSettings,
    ),
    Operation(
        method="PUT",
        path="/routes/{name}/weights",
        action="routes.write",
        summary="Change weights of a route's deployments; takes effect without a restart",
        run=set_weights,
        body=Shares,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="PUT",
        path="/routes/{name}/arms",
        action="routes.write",
        summary="Change weights of the arms of a route's experiment",
        run=set_arms,
        body=Shares,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="GET",
        path="/config",
        action="routes.read",
        summary="Show the configuration in force",
        run=show_config,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="PATCH",
        path="/config",
        action="routes.write",
        summary="Change one value of the configuration",
        run=edit_config,
        body=Edit,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="PUT",
        path="/config",
        action="routes.write",
        summary="Put a whole configuration in force",
        run=replace_config,
        body=Replacement,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="GET",
        path="/config/versions",
        action="routes.read",
        summary="List every state the configuration was in",
        run=list_versions,
        answer=list[ConfigVersion],
    ),
    Operation(
        method="GET",
        path="/config/history",
        action="routes.read",
        summary="List what was in force from when on",
        run=list_moves,
        answer=list[ConfigMove],
    ),
    Operation(
        method="GET",
        path="/config/diff",
        action="routes.read",
        summary="Show where two versions differ",
        run=diff_versions,
        query=DiffQuery,
        answer=list[ConfigChange],
    ),
    Operation(
        method="POST",
        path="/config/rollback",
        action="routes.write",
        summary="Put an earlier version in force again",
        run=roll_back,
        body=Return,
        answer=ConfigAnswer,
        revision=_revision,
    ),
)
