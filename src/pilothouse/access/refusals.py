"""How a door says no to somebody it knows."""

from __future__ import annotations

from pilothouse.core.errors import Conflict, UserError


class Forbidden(UserError):
    """Who asks may not do this."""


class Changed(Conflict):
    """What was to be changed has changed since it was read."""
