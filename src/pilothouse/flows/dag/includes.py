"""The files of a flow: its folder, with `additional_includes` laid over it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pilothouse.core.canonical import digest, digest_file
from pilothouse.core.errors import FlowError, StorageError
from pilothouse.flows.types import Flow, Include

IGNORED = frozenset({"__pycache__", "node_modules"})


def parse_include(text: str, folder: Path, where: str) -> Include:
    """Return the include that one line of `additional_includes` names, relative to the flow's folder.

    A path that ends in `.zip`, does not exist and stands for a folder of the same name is that folder, compressed.

    Raises:
        FlowError: when nothing is there.
    """
    # Files written on Windows use backslashes.
    source = (folder / text.replace("\\", "/")).resolve()
    if source.exists():
        return Include(source=source, target=source.name)
    if source.suffix == ".zip" and source.with_suffix("").is_dir():
        return Include(source=source.with_suffix(""), target=source.name, compress=True)
    raise FlowError(
        f"additional_includes names '{text}', which does not exist",
        where=where,
        expected=f"a file or folder at {source}",
    )


def merged_files(folder: Path, includes: tuple[Include, ...], *, hidden: bool = False) -> dict[str, Path]:
    """Return every file of the flow by its relative name; an include beats a local file, the last include wins.

    Hidden files (`.env` and the like) are settings of a place, not content: left out unless ``hidden``.
    """
    files = dict(_walk(folder, hidden=hidden))
    for include in includes:
        if include.source.is_dir() and not include.compress:
            files.update({f"{include.target}/{name}": path for name, path in _walk(include.source)})
        elif not include.compress:
            files[include.target] = include.source
    return files


def shadowed(folder: Path, includes: tuple[Include, ...]) -> list[str]:
    """Return the local files that an include takes the place of."""
    local = dict(_walk(folder))
    return [name for name, path in merged_files(folder, includes).items() if name in local and local[name] != path]


def flow_digest(folder: Path, includes: tuple[Include, ...]) -> str:
    """Return one digest of the merged files: names and contents.

    Raises:
        FlowError: when a file cannot be read.
    """
    try:
        parts = {name: digest_file(path) for name, path in merged_files(folder, includes).items()}
        for include in includes:
            if include.compress:
                parts[include.target] = digest({name: digest_file(path) for name, path in _walk(include.source)})
    except OSError as error:
        raise FlowError(f"the flow's files cannot be read: {error.strerror}", where=str(error.filename)) from error
    return digest(parts)


def code_digest(flow: Flow) -> str:
    """Return one digest of the flow's Python files: what a tool may import besides its own file."""
    files: Mapping[str, Path] = merged_files(flow.folder, flow.additional_includes)
    return digest({name: digest_file(path) for name, path in files.items() if name.endswith(".py")})


def source_path(flow: Flow, name: str) -> Path:
    """Return the real place of a file of the flow, given its name relative to the folder."""
    return find_source(flow.folder, flow.additional_includes, name) or flow.folder / name


def find_source(folder: Path, includes: tuple[Include, ...], name: str) -> Path | None:
    """Return the real place of a file, or None when neither folder nor includes have it."""
    relative = Path(name.replace("\\", "/"))
    for include in reversed(includes):
        if not include.compress and relative.parts and relative.parts[0] == include.target:
            path = include.source.joinpath(*relative.parts[1:])
            if path.is_file():
                return path
    path = folder / relative
    return path if path.is_file() else None


def materialise(flow: Flow, target: Path) -> None:
    """Write the merged files into the folder ``target``.

    Raises:
        StorageError: when the disk refuses.
    """
    try:
        for name, path in merged_files(flow.folder, flow.additional_includes, hidden=True).items():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
        for include in flow.additional_includes:
            if include.compress:
                with zipfile.ZipFile(target / include.target, "w", zipfile.ZIP_DEFLATED) as archive:
                    for name, path in _walk(include.source):
                        archive.write(path, f"{include.source.name}/{name}")
    except OSError as error:
        raise StorageError(f"the flow's files cannot be copied: {error.strerror}", where=str(target)) from error


def _walk(root: Path, *, hidden: bool = False) -> Iterator[tuple[str, Path]]:
    pending = [root]
    seen: set[Path] = set()
    while pending:
        folder = pending.pop()
        # A link that leads back into the tree must not make the walk endless.
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        for path in sorted(folder.iterdir()):
            # Hidden folders hold state, environments and history: .git, .venv, .pilothouse, .runs, .promptflow.
            if path.name in IGNORED or path.suffix == ".pyc":
                continue
            if path.is_dir() and not path.name.startswith("."):
                pending.append(path)
            elif path.is_file() and (hidden or not path.name.startswith(".")):
                yield path.relative_to(root).as_posix(), path
