"""What one command line works with: the project, opened when a command first asks for something of it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pilothouse.core import plugins

if TYPE_CHECKING:  # types alone: `--help` need not read YAML
    from pilothouse.core.clock import Clock
    from pilothouse.core.settings import Settings

T = TypeVar("T")


class Session:
    """The services of a project, which `--help` and `--version` never wake."""

    def __init__(self, project: Path | None) -> None:
        self._project = project
        self._workspace: Any = None

    @property
    def workspace(self) -> Any:
        """The open workspace."""
        if self._workspace is None:
            # Through the plug-in door: the workspace brings the database, which `--help` must not pay for.
            workspace = plugins.load("workspaces", "project")
            self._workspace = workspace.open(self._project)
        return self._workspace

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.workspace.root

    @property
    def state(self) -> Path:
        """The project's state folder."""
        return self.workspace.state

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self.workspace.settings

    @property
    def clock(self) -> Clock:
        """Where the time comes from."""
        return self.workspace.clock

    def get(self, kind: type[T]) -> T:
        """Return the one instance of a service."""
        return self.workspace.get(kind)

    def close(self) -> None:
        """Close the workspace where it was opened."""
        if self._workspace is not None:
            self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
