"""Folders of files that a command starts something with: copied whole, and never over something that stands there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pilothouse.core.errors import Conflict
from pilothouse.core.storage.faults import disk_fault

# A file of this name inside the package would hide files of the package itself.
RENAMED: Final = {"gitignore": ".gitignore"}


def template_files(source: Path, words: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the files of a template by their relative names.

    Args:
        source: The template's folder.
        words: What stands in place of ``@name@``; a line of nothing else whose word is empty is left out.
    """
    return {
        path.relative_to(source).with_name(RENAMED.get(path.name, path.name)).as_posix(): _filled(path, words or {})
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _filled(path: Path, words: Mapping[str, str]) -> bytes:
    data = path.read_bytes()
    if not any(f"@{name}@".encode() in data for name in words):
        return data
    kept: list[str] = []
    for line in data.decode().splitlines(keepends=True):
        filled = line
        for name, word in words.items():
            filled = filled.replace(f"@{name}@", word)
        if filled.strip() or not line.strip():
            kept.append(filled)
    return "".join(kept).encode()


def write_new(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write files into ``folder`` and return them, in order.

    Raises:
        Conflict: when one of them exists already; nothing is written then.
        StorageError: when the folder cannot be written.
    """
    wanted = {folder / name: data for name, data in files.items()}
    standing = [target for target in wanted if target.exists()]
    if standing:
        raise Conflict(
            f"{len(standing)} of the template's files exist already",
            where=str(standing[0]),
            fix="choose an empty folder",
        )
    try:
        for target, data in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise disk_fault(error, folder, "write the template") from error
    return list(wanted)
