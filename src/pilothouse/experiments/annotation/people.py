"""Who may label: people, by name."""

from __future__ import annotations

from pilothouse.access.service import VARIABLE, local_actor
from pilothouse.access.types import Actor
from pilothouse.core.environment import Environment
from pilothouse.core.errors import UserError


def person(name: str | None, actor: Actor) -> str:
    """Return the name under which somebody labels: the one given, else that of the one who acts.

    Raises:
        ConfigError: it is no name.
        UserError: it is a service's.
    """
    who = actor if name is None else local_actor(Environment({VARIABLE: name.strip() or "?"}))
    if who.kind != "person":
        raise UserError(f"'{who.name}' is a service, and labels are of people", fix="say who labels: --as NAME")
    return who.name
