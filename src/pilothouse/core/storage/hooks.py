"""Hooks that the interpreter keeps for ever, without keeping what they belong to alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable


def weakly(method: Callable[[], object]) -> Callable[[], None]:
    """Return a call of a bound method that does nothing once its object is gone."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
