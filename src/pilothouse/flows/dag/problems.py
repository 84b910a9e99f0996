"""What is wrong with a flow: the first mistake is raised, or all of them are kept."""

from __future__ import annotations

from types import TracebackType

from pilothouse.core.errors import PilothouseError


class Problems:
    """A context manager around each step that can be looked at alone.

    Args:
        keep: Whether an error is kept and the next step is gone on with; else it is raised, as without this class.

    Attributes:
        found: What was kept, in order.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self.found: list[PilothouseError] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self.keep or not isinstance(error, PilothouseError):
            return False
        # Several nodes may share one broken file.
        if str(error) not in map(str, self.found):
            self.found.append(error)
        return True
