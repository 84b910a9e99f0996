"""Secrets that cannot be shown by accident."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

MASK = "***"

SHORTEST = 6
"""Shorter values are not searched for in texts: they would blank out ordinary words."""


class Secret:
    """A text that prints as ``***`` wherever it goes; ``reveal`` is the only way to it.

    It is not a ``str``: JSON encoders, string joins and f-strings cannot leak it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, to be handed to the provider and nobody else."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled: resolve the connection again where it is needed")


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return ``text`` with every occurrence of a secret replaced by ``***``.

    Providers echo keys in their error messages; nothing they send is shown before it went through here.
    """
    for value in sorted((secret.reveal().strip() for secret in secrets), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, MASK)
    return text
