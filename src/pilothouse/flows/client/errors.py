"""Our errors as prompt flow's exceptions, which scripts that were written for it catch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from pilothouse.core.errors import Conflict, Interrupted, NotFound, PilothouseError, StorageError
from pilothouse.flows.promptflow.faults import SystemErrorException, UserErrorException


@contextmanager
def as_promptflow(
    *, missing: type[UserErrorException] = UserErrorException, taken: type[UserErrorException] = UserErrorException
) -> Generator[None]:
    """While inside, errors of ours become those of prompt flow, with the same text.

    Args:
        missing: What there is nothing of the name is told as.
        taken: What a conflict is told as.
    """
    try:
        yield
    except Interrupted as error:
        raise KeyboardInterrupt from error
    except NotFound as error:
        raise missing(str(error)) from error
    except Conflict as error:
        raise taken(str(error)) from error
    except StorageError as error:
        raise SystemErrorException(str(error)) from error
    except PilothouseError as error:
        raise UserErrorException(str(error)) from error
