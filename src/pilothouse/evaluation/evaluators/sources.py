"""What an evaluator's version rests on: its file, and the files beside it that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pilothouse.core.canonical import digest, digest_file


def digest_of_source(path: Path) -> str:
    """Return one digest of a Python file and of the files in its folder that it imports, directly or not.

    Installed packages are not part of it.
    """
    root = path.resolve().parent
    found: dict[Path, str] = {}
    pending = [path.resolve()]
    while pending:
        file = pending.pop()
        if file not in found:
            found[file] = digest_file(file)
            pending += _imported(file, root)
    return digest({file.relative_to(root).as_posix(): content for file, content in found.items()})


def _imported(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # importing it will tell
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else root
            for alias in node.names:
                yield from _files(folder, ".".join(filter(None, (node.module, alias.name))))


def _files(folder: Path, dotted: str) -> Iterator[Path]:
    """Yield the files of a dotted name, its packages included; the last part may be a name inside of a file."""
    place = folder
    for part in dotted.split("."):
        place /= part
        for file in (place.with_name(place.name + ".py"), place / "__init__.py"):
            if file.is_file():
                yield file.resolve()
