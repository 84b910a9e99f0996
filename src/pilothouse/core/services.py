"""How services find their peers without knowing who builds them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from pilothouse.core.clock import Clock
from pilothouse.core.settings import Settings

T = TypeVar("T")


class Services(Protocol):
    """What a service may ask for when it is built; the workspace is the one that answers."""

    @property
    def root(self) -> Path:
        """The project's folder."""
        ...

    @property
    def state(self) -> Path:
        """The folder `.pilothouse/` of the project; it exists."""
        ...

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        ...

    @property
    def clock(self) -> Clock:
        """Where the time comes from."""
        ...

    def get(self, kind: type[T]) -> T:
        """Return the one instance of ``kind``, built on first use by ``kind.build(self)``."""
        ...
