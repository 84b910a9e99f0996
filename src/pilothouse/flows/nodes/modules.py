"""The Python files of one flow, imported apart from those of every other flow.

The flow's folder is treated as a package of its own under a name nobody else has. Code in it says `import helpers`
as if the folder were on the path: its `import` statements look into the folder first, while importing and later, in
whichever thread they run. So two flows may have files of one name, and neither meets the other's.
"""

from __future__ import annotations

import builtins
import importlib.util
import itertools
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from pilothouse.core.errors import FlowError, PilothouseError
from pilothouse.flows.nodes.faults import user_code_error
from pilothouse.flows.promptflow.finder import FINDER, is_promptflow, served

_numbers = itertools.count(1)
# Path and working directory belong to the whole process: one flow imports its code at a time.
_resolving = threading.RLock()


class FlowModules:
    """Imports the files of one folder; `close` forgets them.

    Args:
        folder: The flow's folder, includes already in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._package = f"pilothouse_flow_{next(_numbers)}"
        self._guard = threading.RLock()
        # The flow's own record: `sys.modules` is everybody's, and tools that look through it also take away.
        self._modules: dict[str, ModuleType] = {}
        self._others: dict[Path, ModuleType] = {}
        self._serves_promptflow = False
        self._builtins = {**vars(builtins), "__import__": self._import}
        root = ModuleType(self._package)
        root.__path__ = [str(folder)]
        self._keep(self._package, root)

    @contextmanager
    def resolving(self) -> Generator[None]:
        """While inside, the folder is the first place of the path and the working directory."""
        with _resolving, served():
            known, folder = set(sys.modules.copy()), str(self._folder)
            sys.path.insert(0, folder)
            try:
                with chdir(folder):
                    yield
            finally:
                # What the flow's code added to the path itself stays.
                with suppress(ValueError):
                    sys.path.remove(folder)
                self._sweep(known)
                if FINDER.made():
                    self.serve_promptflow()

    def serve_promptflow(self) -> None:
        """Answer imports of prompt flow until `close`: functions of the flow may still import while they run."""
        with self._guard:
            if not self._serves_promptflow:
                self._serves_promptflow = True
                FINDER.hold()

    def load(self, path: Path) -> ModuleType:
        """Return the module of one file.

        Raises:
            UserCodeError: whatever the file raises while it is imported.
        """
        try:
            parts = path.with_suffix("").relative_to(self._folder).parts if path.is_relative_to(self._folder) else ()
            if parts and all(part.isidentifier() for part in parts):
                return self._module(".".join((self._package, *parts)))
            if path not in self._others:
                self._others[path] = self._execute(f"{self._package}._{next(_numbers)}", path)
            return self._others[path]
        except PilothouseError:
            raise
        except (Exception, SystemExit) as error:
            raise user_code_error(error, "the file cannot be imported", str(path)) from error

    def close(self) -> None:
        """Forget the modules."""
        with self._guard:
            if self._serves_promptflow:
                self._serves_promptflow = False
                FINDER.release()
        for name in list(self._modules):
            sys.modules.pop(name, None)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Stand in for `__import__` in the flow's files."""
        if level:
            package = str((globals or {}).get("__package__") or self._package)
            full = importlib.util.resolve_name("." * level + name, package)
        else:
            full = f"{self._package}.{name}"
        if not self._owns(full, str((globals or {}).get("__name__"))):
            if not level and is_promptflow(name):
                self.serve_promptflow()
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._module(full)
        if not fromlist:
            return module if level else self._module(self._first(full))
        for item in fromlist:
            inner = f"{full}.{item}"
            if not hasattr(module, item) and hasattr(module, "__path__") and self._place(inner) is not None:
                self._module(inner)
        return module

    def _owns(self, full: str, importer: str) -> bool:
        """Return whether an import means a file of the flow, by the rules of a folder that is first on the path."""
        if not full.startswith(f"{self._package}."):
            return False
        first = self._first(full)
        place = self._place(first)
        name = first.rpartition(".")[2]
        # A file that imports its own name means the library it is named after.
        if place is None or name in sys.builtin_module_names or first == importer:
            return False
        # A folder without __init__.py gives way to any real package.
        return place.is_file() or importlib.util.find_spec(name) is None

    def _first(self, full: str) -> str:
        return ".".join(full.split(".")[:2])

    def _module(self, full: str) -> ModuleType:
        with self._guard:
            found = self._modules.get(full)
            if found is not None:
                return found
            package, _, name = full.rpartition(".")
            parent = self._module(package)
            place = self._place(full)
            if place is None:
                raise ModuleNotFoundError(f"No module named {full.removeprefix(self._package + '.')!r}", name=full)
            module = self._execute(full, place)
            setattr(parent, name, module)
            return module

    def _place(self, full: str) -> Path | None:
        path = self._folder.joinpath(*full.split(".")[1:])
        for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
            if candidate.is_file():
                return candidate
        # A folder without __init__.py that holds Python files is a package too.
        return path if path.is_dir() and any(path.glob("*.py")) else None

    def _execute(self, full: str, place: Path) -> ModuleType:
        if place.is_dir():
            module = ModuleType(full)
            module.__path__ = [str(place)]
            return self._keep(full, module)
        inner = [str(place.parent)] if place.name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(full, place, submodule_search_locations=inner)
        if spec is None:
            raise FlowError("this is not a Python file", where=str(place))
        module = importlib.util.module_from_spec(spec)
        module.__dict__["__builtins__"] = self._builtins
        self._keep(full, module)
        try:
            # Compiled here and not by the loader: no __pycache__ in the user's folder, and never a stale one.
            code = compile(place.read_bytes(), str(place), "exec", dont_inherit=True)
            exec(code, module.__dict__)  # noqa: S102 - running the flow's own code is what this file is for
        except BaseException:
            self._modules.pop(full, None)
            sys.modules.pop(full, None)
            raise
        # A file may put an object in the place of its own module.
        return self._keep(full, sys.modules.get(full, module))

    def _keep(self, full: str, module: ModuleType) -> ModuleType:
        # Classes and pickles find their module by its name.
        self._modules[full] = sys.modules[full] = module
        return module

    def _sweep(self, known: set[str]) -> None:
        # `importlib.import_module("helpers")` goes past our `__import__`: what it left under a common name is taken
        # away, so that the next flow finds its own file.
        # A copy: a list of the items can be overtaken by another thread's import while it is made.
        for name, module in sys.modules.copy().items():
            origin = getattr(module, "__file__", None)
            is_new = origin is not None and name not in known and not name.startswith(self._package)
            if is_new and Path(str(origin)).is_relative_to(self._folder):
                del sys.modules[name]
