"""The import of `promptflow`: answered here while a flow that needs it is open, unless prompt flow is installed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, cast

from pilothouse.flows.promptflow.surface import RELEASE, ROOT, SURFACE, absent

_DISTRIBUTIONS: Final = ("promptflow", "promptflow-core")


@lru_cache(maxsize=1)
def installed() -> str | None:
    """Return name and version of the real package where it is installed, which then is used; else None."""
    # Slow to import, and of no use to a flow that does not need it.
    from importlib.metadata import PackageNotFoundError, version

    for name in _DISTRIBUTIONS:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def is_promptflow(name: str) -> bool:
    """Return whether a module's name is ``promptflow`` or lies below it."""
    return name.partition(".")[0] == ROOT


class PromptflowFinder:
    """Finds and makes the modules of `SURFACE`. It stands on `sys.meta_path` while somebody holds it, and no longer.

    It does not derive from the classes of `importlib.abc`: importing those costs more than all of this.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._guard = threading.Lock()

    def hold(self) -> None:
        """Answer imports from now on."""
        with self._guard:
            self._holders += 1
            if self._holders == 1:
                # First, so that a folder called promptflow in a project is not taken for the package.
                sys.meta_path.insert(0, self)

    def release(self) -> None:
        """Answer no longer, when nobody else holds it; the modules that were made are forgotten."""
        with self._guard:
            self._holders -= 1
            if self._holders:
                return
            # A tool may have cleared the path itself.
            with suppress(ValueError):
                sys.meta_path.remove(self)
            for name in self.made():
                sys.modules.pop(name, None)

    def made(self) -> list[str]:
        """Return the names of the modules that were made and are in use."""
        names = [name for name in sys.modules.copy() if is_promptflow(name)]
        return [name for name in names if getattr(sys.modules.get(name), "__loader__", None) is self]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of prompt flow.

        Raises:
            ModuleNotFoundError: for one that is not offered, saying what is.
        """
        if not is_promptflow(fullname) or installed() is not None:
            return None
        if fullname not in SURFACE:
            raise ModuleNotFoundError(absent(fullname), name=fullname)
        return ModuleSpec(fullname, cast("Any", self), is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave the making of the module to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give a module its names; what stands behind each is imported when it is first used."""
        own = module.__name__

        def found(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(f"module '{own}' has no attribute '{name}'", name=name, obj=module)
            value = _behind(own, name)
            setattr(module, name, value)
            return value

        vars(module)["__all__"] = list(SURFACE[own])
        vars(module)["__version__"] = RELEASE
        vars(module)["__getattr__"] = found


def _behind(module: str, name: str) -> Any:
    full = f"{module}.{name}"
    if name in SURFACE[module]:
        home, _, attribute = SURFACE[module][name].partition(":")
        return getattr(import_module(home), attribute)
    if full in SURFACE:
        return import_module(full)
    # No AttributeError: `from promptflow.x import y` would put Python's own sentence in the place of ours.
    raise ImportError(absent(full), name=module)


FINDER: Final = PromptflowFinder()
"""The one of this process, as `sys.meta_path` is."""


@contextmanager
def served() -> Generator[None]:
    """While inside, imports of prompt flow are answered."""
    FINDER.hold()
    try:
        yield
    finally:
        FINDER.release()
