"""Failures as records: the user's with the frames of their own files, ours without any."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from pathlib import Path

from pilothouse.core.errors import PilothouseError, UserCodeError
from pilothouse.flows.results import ErrorInfo
from pilothouse.models.secret import Secret, redact

_OURS = str(Path(__file__).parents[2])
_MACHINERY = ("<frozen ", "<template>")
_TRACEBACK_LIMIT = 20_000


def own_fault(error: PilothouseError, node: str | None = None) -> ErrorInfo:
    """Return the record of an error of our tree."""
    trace = error.traceback if isinstance(error, UserCodeError) else None
    return ErrorInfo(type=type(error).__name__, message=str(error), node=node, traceback=trace or None)


def user_fault(error: BaseException, node: str, secrets: Collection[Secret] = ()) -> ErrorInfo:
    """Return the record of what the user's code raised, with its traceback and without the secrets it was given.

    Clients that tools call quote keys in what they raise: in addresses, in headers.
    """
    message, trace = (redact(text, secrets) for text in (text_of(error), user_traceback(error)))
    return ErrorInfo(type=type(error).__name__, message=message, node=node, traceback=trace)


def user_code_error(error: BaseException, what: str, where: str) -> UserCodeError:
    """Return the error for user code that failed outside of a line, such as while it was imported."""
    return UserCodeError(
        f"{what}: {type(error).__name__}: {text_of(error)}", traceback=user_traceback(error), where=where
    )


def text_of(error: BaseException) -> str:
    """Return what an exception says; an exception that cannot say it is named."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's __str__ may raise anything
        return f"<{type(error).__name__} without a readable message>"


def user_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` without our own frames and those of the import machinery."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    pending: list[traceback.TracebackException | None] = [shown]
    while pending:
        current = pending.pop()
        if current is None:
            continue
        kept = [frame for frame in current.stack if not frame.filename.startswith((_OURS, *_MACHINERY))]
        current.stack = traceback.StackSummary.from_list(kept)
        pending += [current.__cause__, current.__context__]
    text = "".join(shown.format())
    # The end of a long traceback is what tells the reason.
    return text if len(text) <= _TRACEBACK_LIMIT else "...\n" + text[-_TRACEBACK_LIMIT:]
