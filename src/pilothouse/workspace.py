"""The composition root: one open project, its settings, storage and services.

A service is built when it is first asked for, by its own ``build(services)``, so a command pays only for what
it uses. The workspace is the one place that knows which folder, environment and clock stand behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from pilothouse.access.service import local_actor
from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock, SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.errors import StorageError
from pilothouse.core.settings import FILE, Settings
from pilothouse.core.storage.blobs import BlobStore

STATE = ".pilothouse"

T = TypeVar("T")


class Workspace:
    """One open project. Use it as a context manager, or call :meth:`close`.

    Args:
        root: The project's folder.
        environment: Where references and overrides come from; the process's over `.env` by default.
        clock: Where the time comes from.

    Raises:
        ConfigError: for settings that cannot be accepted.
        StorageError: when the state folder cannot be made.
    """

    def __init__(self, root: Path, *, environment: Environment | None = None, clock: Clock | None = None) -> None:
        self.root = root.resolve()
        self.environment = environment if environment is not None else Environment.load(self.root)
        self.settings = Settings.load(self.root, self.environment)
        self.clock: Clock = clock or SystemClock()
        self.state = _state_folder(self.root)
        self._built: dict[type[Any], Any] = {}
        self._closing = ExitStack()

    @classmethod
    def open(cls, start: Path | str | None = None) -> Self:
        """Open the project that holds ``start`` (the current folder by default)."""
        return cls(find_root(Path(start) if start is not None else Path.cwd()))

    def get(self, kind: type[T]) -> T:
        """Return the one instance of ``kind``, built on first use by ``kind.build(self)``."""
        if kind not in self._built:
            made = self._primitive(kind) or self._build(kind)
            self._built[kind] = made
            close: Callable[[], object] | None = getattr(made, "close", None)
            if close is not None:
                self._closing.callback(close)
        return cast("T", self._built[kind])

    def close(self) -> None:
        """Close what was opened, the last first."""
        self._built.clear()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _build(self, kind: Any) -> object:
        return kind.build(self)

    def _primitive(self, kind: type) -> object | None:
        if kind is BlobStore:
            return BlobStore(self.state / "blobs")
        if kind is Actor:
            return local_actor(self.environment)
        return None


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` that holds `pilothouse.yaml`, else ``start`` itself."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    return start


def _state_folder(root: Path) -> Path:
    state = root / STATE
    try:
        state.mkdir(mode=0o700, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise StorageError(
            f"the state folder cannot be made: {error.strerror}",
            where=str(state),
            fix="choose a folder you may write to",
        ) from error
    return state
