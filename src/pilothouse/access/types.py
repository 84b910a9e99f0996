"""The noun of this room: the one who acts."""

from __future__ import annotations

from typing import Literal

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody or something that acts, as records name it.

    Attributes:
        name: A user name, ``PILOTHOUSE_ACTOR``, or a service's name.
        kind: A person, or a service such as a CI job.
    """

    name: str
    kind: Literal["person", "service"] = "person"
