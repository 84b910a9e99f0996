"""The house rules that no linter keeps: sizes, names, own imports inside functions, the one reader of the environment."""

from __future__ import annotations

import ast
import functools
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pilothouse"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts)
FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

HARD_LINES, MEDIAN_LINES = 800, 150
FUNCTION_LINES, ARGUMENTS, CLASS_LINES = 60, 8, 300
FOLDER_FILES, DEPTH = 15, 3
JUNK = {"utils", "util", "helpers", "helper", "common", "misc"}

pytestmark = pytest.mark.no_cover  # files are read, nothing of the package runs


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def nodes(paths: list[Path], *kinds: type) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        for node in ast.walk(tree(path)):
            if isinstance(node, kinds):
                yield path, node


def length(node: ast.AST) -> int:
    return (node.end_lineno or 0) - node.lineno + 1  # type: ignore[attr-defined]


def test_no_file_is_longer_than_the_hard_limit() -> None:
    assert [relative(path) for path in FILES if path.read_text().count("\n") > HARD_LINES] == []


def test_the_median_file_is_short() -> None:
    assert statistics.median(path.read_text().count("\n") for path in SOURCES) <= MEDIAN_LINES


def test_functions_are_short() -> None:
    found = [
        f"{relative(path)}:{node.lineno} {node.name} has {length(node)} lines"  # type: ignore[attr-defined]
        for path, node in nodes(FILES, ast.FunctionDef, ast.AsyncFunctionDef)
        if length(node) > FUNCTION_LINES
    ]
    assert found == []


def test_functions_take_few_arguments() -> None:
    """In the package: a test's arguments are its fixtures and the columns of its table."""
    found = []
    for path, node in nodes(SOURCES, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([name for name in names if name.arg not in {"self", "cls"}])
        # A command's options are its parameters: they are counted by the reader of its help, not by its caller.
        if count > ARGUMENTS and "commands" not in (path.stem, path.parent.name):
            found.append(f"{relative(path)}:{node.lineno} {node.name} takes {count} arguments")
    assert found == []


def test_classes_are_small() -> None:
    found = [
        f"{relative(path)}:{node.lineno} {node.name} has {length(node)} lines"  # type: ignore[attr-defined]
        for path, node in nodes(FILES, ast.ClassDef)
        if length(node) > CLASS_LINES
    ]
    assert found == []


def test_folders_are_small_and_flat() -> None:
    folders = {path.parent for path in SOURCES}
    crowded = [relative(folder) for folder in folders if len(list(folder.glob("*.py"))) > FOLDER_FILES]
    deep = [relative(folder) for folder in folders if len(folder.relative_to(PACKAGE).parts) > DEPTH]
    assert (crowded, deep) == ([], [])


def test_no_junk_drawers() -> None:
    found = [relative(path) for path in FILES if path.stem in JUNK or path.parent.name in JUNK]
    assert found == []


def test_own_modules_are_imported_at_the_top() -> None:
    found = []
    for path in SOURCES:
        for function in ast.walk(tree(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                if any(name.split(".")[0] == "pilothouse" for name in names):
                    found.append(f"{relative(path)}:{node.lineno}")  # type: ignore[attr-defined]
    assert found == []


def test_importing_a_room_imports_nothing() -> None:
    """A package's `__init__` is its docstring; the front door alone may hold more."""
    found = [
        relative(path)
        for path in SOURCES
        if path.name == "__init__.py" and path.parent != PACKAGE and len(tree(path).body) > 1
    ]
    assert found == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK", "NotImplementedError"])
def test_nothing_is_left_for_later(word: str) -> None:
    here = Path(__file__).resolve()
    assert [relative(path) for path in FILES if path.resolve() != here and word in path.read_text()] == []


def test_every_command_module_says_its_help_line_first() -> None:
    """The help of `pilothouse` reads the first line of these files without importing them."""
    for path in SOURCES:
        if path.name.endswith("commands.py"):
            line = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
            assert path.read_text().startswith('"""'), relative(path)
            assert 10 <= len(line) <= 90, f"{relative(path)}: {line!r}"
