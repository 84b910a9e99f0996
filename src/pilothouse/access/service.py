"""Who acts, when nobody has logged in: the user of this machine."""

from __future__ import annotations

import os
import pwd
import re

from pilothouse.access.types import Actor
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError

VARIABLE = "PILOTHOUSE_ACTOR"
_SERVICE = "service:"
_NAME = re.compile(r"[\w][\w.@+ -]{0,99}")


def local_actor(environment: Environment) -> Actor:
    """Return the one who types the command: ``PILOTHOUSE_ACTOR`` where it is set, else the system's user.

    ``PILOTHOUSE_ACTOR=service:nightly`` names a service, any other value a person.

    Raises:
        ConfigError: when the variable holds something that is not a name.
    """
    given = environment.get(VARIABLE, "").strip()
    if not given:
        return Actor(name=_system_user())
    name = given.removeprefix(_SERVICE)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{given[:100]!r} is not a name",
            where=VARIABLE,
            expected="1 to 100 letters, digits, spaces, . _ @ + -, with 'service:' in front for a service",
        )
    return Actor(name=name, kind="service" if given.startswith(_SERVICE) else "person")


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"uid-{os.getuid()}"
