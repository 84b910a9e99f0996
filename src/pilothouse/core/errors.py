"""The one tree of errors.

::

    PilothouseError                 something said to the user, with its exit code
    ├── UserError            (2)    a wrong file, key, row or command: no traceback
    │   ├── ConfigError             pilothouse.yaml, .env, an experiment file
    │   ├── NotFound                nothing by that name
    │   ├── Conflict                exists already, or is in the wrong state
    │   ├── DataError               rows, columns, data files
    │   ├── FlowError               a flow that cannot be loaded
    │   └── ConnectionFault         a connection without its key, of an unknown type
    ├── UserCodeError        (1)    the user's own tool or evaluator raised
    ├── ModelError           (3)    a model provider refused or failed
    ├── StorageError         (3)    full disk, locked or missing database
    └── Interrupted        (130)    the user stopped it; what was recorded is kept
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class PilothouseError(Exception):
    """An error that says what, where, what was expected and how to mend it.

    Args:
        message: What went wrong, in one sentence.
        where: The place, as ``file:line`` or a name.
        expected: What would have been right.
        fix: What to do or type.
    """

    exit_code: ClassVar[int] = 3

    def __init__(
        self, message: str, *, where: str | None = None, expected: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.message}" if self.where else self.message]
        if self.expected:
            parts.append(f"  expected: {self.expected}")
        if self.fix:
            parts.append(f"  to mend:  {self.fix}")
        return "\n".join(parts)


class UserError(PilothouseError):
    """The user's mistake: shown without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration file that cannot be accepted."""


class NotFound(UserError):
    """Nothing exists by the name that was given."""


class Conflict(UserError):
    """It exists already, or its state does not allow what was asked."""


class DataError(UserError):
    """A data file, row or column that cannot be accepted."""


class FlowError(UserError):
    """A flow that cannot be loaded."""


class ConnectionFault(UserError):
    """A connection that is missing, incomplete or of an unknown type."""


class UserCodeError(PilothouseError):
    """The user's own code raised; ``traceback`` is the text of its frames."""

    exit_code = 1

    def __init__(self, message: str, *, traceback: str = "", where: str | None = None, fix: str | None = None) -> None:
        super().__init__(message, where=where, fix=fix)
        self.traceback = traceback


class ModelError(PilothouseError):
    """A model provider refused or failed.

    Args:
        message: What the provider said, without secrets.
        status: The HTTP status, where there was an answer.
        retryable: Whether the same call may succeed later.
        retry_after: Seconds the provider asked to wait.
        where: The connection and model.
        fix: What to do or type.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        where: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message, where=where, fix=fix)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


class StorageError(PilothouseError):
    """The disk or the database failed; what was acknowledged before is kept."""

    exit_code = 3


class Interrupted(PilothouseError):
    """The user stopped the work; what was recorded is kept."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to ``name``, or None when none is near."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(names)}
    near = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def nearest_hint(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Return words that lead from an unknown name to the known ones."""
    names = sorted(set(known))
    near = suggest(name, names)
    if near is not None:
        return f"did you mean '{near}'?"
    if not names:
        return "there are none yet"
    shown = ", ".join(names[:limit])
    return f"known: {shown}" + (f" and {len(names) - limit} more" if len(names) > limit else "")
