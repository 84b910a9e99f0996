"""What the flow's Python files import that the lock does not hold."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

from pilothouse.flows.building.types import FLOW, Content
from pilothouse.flows.environment.requirements import normal_name
from pilothouse.flows.promptflow.finder import is_promptflow


def unlocked_imports(files: Mapping[str, Content], locked: Collection[str]) -> Iterator[str]:
    """Return a note for each package that a file of the flow imports and that no requirement brings.

    Args:
        files: The files of the build.
        locked: The names of the packages in the lock, in their normal form.
    """
    own = {Path(name).parts[1].removesuffix(".py") for name in files if name.startswith(f"{FLOW}/")}
    found: dict[str, tuple[str, int]] = {}
    for name, module, line in _imports(files):
        top = module.partition(".")[0]
        if not (top in own or top in sys.stdlib_module_names or is_promptflow(top) or normal_name(top) in locked):
            found.setdefault(top, (name, line))
    # Looks through every installed package: seconds, where there are many.
    bringing: Mapping[str, list[str]] = packages_distributions() if found else {}
    for top, (name, line) in found.items():
        # A package that is installed from a folder names no modules: most are called as their module is.
        packages = sorted({normal_name(package) for package in bringing.get(top, (top,))})
        if not any(package in locked for package in packages):
            yield f"not in the lock: {name}:{line} imports {top}; add {packages[0]} to the flow's requirements.txt"


def _imports(files: Mapping[str, Content]) -> Iterator[tuple[str, str, int]]:
    for name, content in sorted(files.items()):
        if not (name.startswith(f"{FLOW}/") and name.endswith(".py") and isinstance(content, Path)):
            continue
        try:
            module = ast.parse(content.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                yield from ((name, alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield name, node.module, node.lineno
