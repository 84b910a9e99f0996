"""Every file below a folder, what each is taken for, and the project it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from pilothouse.core.errors import NotFound
from pilothouse.flows.loader import DAG_FILES, FLEX_FILES

DATA = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
LEFT_OUT = frozenset({"__pycache__", "node_modules", ".git", ".hg", ".svn", ".venv", ".tox", ".runs", ".pilothouse"})
_CACHE = re.compile(r"\..*_cache")
_EXPERIMENT = re.compile(r"experiment(\.[A-Za-z0-9_-]+)?\.ya?ml")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.txt")
_SCRIPT = re.compile(r"(?i)(.*\.(sh|bash|zsh|ps1|cmd|bat|mk|groovy|dockerfile))|makefile|jenkinsfile|dockerfile.*")
_PIPELINES = frozenset({".github", ".azure-pipelines", ".azuredevops", ".pipelines", ".devcontainer"})
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


class Found(Struct, frozen=True, kw_only=True):
    """One file, or one folder that was left out.

    Attributes:
        path: Its full path.
        kind: What its name says: ``dag flow``, ``flex flow``, ``prompty``, ``experiment``, ``yaml``, ``python``,
            ``template``, ``data``, ``requirements``, ``pyproject``, ``script``, ``notebook``, ``deployment``,
            ``dotenv``, ``hidden``, ``link``, ``folder``, ``other``.
    """

    path: Path
    kind: str


def walk(root: Path) -> Iterator[Found]:
    """Yield every file below ``root`` in order; folders of tools and histories, and links, are named, not entered.

    Raises:
        NotFound: when there is no such folder or file.
    """
    if root.is_file():
        yield Found(path=root, kind=kind_of(root))
        return
    if not root.is_dir():
        raise NotFound("there is nothing to check", where=str(root), expected="a folder, or one file")
    yield from _walk(root)


def _walk(folder: Path, *, hidden: bool = False) -> Iterator[Found]:
    inner: list[Path] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield Found(path=folder, kind="folder")
        return
    for path in entries:
        # A link may lead back up or out: what it points to is checked where it is.
        if path.is_symlink():
            yield Found(path=path, kind="link")
        elif path.is_dir():
            inner.append(path)
        else:
            yield Found(path=path, kind="hidden" if hidden else kind_of(path))
    for path in inner:
        left_out = path.name in LEFT_OUT or _CACHE.fullmatch(path.name) or (path / _VIRTUAL_ENVIRONMENT).exists()
        if left_out:
            yield Found(path=path, kind="folder")
        else:
            yield from _walk(path, hidden=hidden or _is_hidden(path))


def _is_hidden(folder: Path) -> bool:
    """Tell whether a folder holds what tools keep for themselves; pipelines stand in hidden ones, but people's own."""
    return folder.name.startswith(".") and folder.name not in _PIPELINES


def kind_of(path: Path) -> str:
    """Return what a file's name says that it is."""
    name, suffix = path.name, path.suffix.lower()
    if not path.is_file():
        return "other"
    named = {**dict.fromkeys(DAG_FILES, "dag flow"), **dict.fromkeys(FLEX_FILES, "flex flow"), ".env": "dotenv"}
    if name in named:
        return named[name]
    if _EXPERIMENT.fullmatch(name):
        return "experiment"
    if _REQUIREMENTS.fullmatch(name):
        return "requirements"
    if name == "deployment_config.json":
        return "deployment"
    if name == "pyproject.toml":
        return "pyproject"
    if _SCRIPT.fullmatch(name):
        return "script"
    by_suffix = {
        **dict.fromkeys((".yaml", ".yml"), "yaml"),
        **dict.fromkeys((".jinja2", ".jinja", ".j2"), "template"),
        **dict.fromkeys(DATA, "data"),
        ".prompty": "prompty",
        ".py": "python",
        ".ipynb": "notebook",
    }
    return by_suffix.get(suffix, "other")


def projects(root: Path, files: list[Found]) -> dict[Path, str]:
    """Return the project of each file: the outermost folder with an experiment or a flow in it, else ``.``."""
    base = root if root.is_dir() else root.parent
    marked = {item.path.parent for item in files if item.kind in {"dag flow", "flex flow", "experiment"}}
    # A stray prompt beside many projects does not make one project of them.
    marked |= {item.path.parent for item in files if item.kind == "prompty" and item.path.parent != base}
    return {item.path: _outermost(item.path, base, marked) for item in files}


def _outermost(path: Path, base: Path, marked: set[Path]) -> str:
    for folder in reversed([parent for parent in path.parents if parent.is_relative_to(base)]):
        if folder in marked:
            return folder.relative_to(base).as_posix()
    return "."
