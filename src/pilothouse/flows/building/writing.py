"""A build put into its folder; what is not of a build is never touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

from pilothouse.core.canonical import digest_bytes, digest_file
from pilothouse.core.errors import Conflict
from pilothouse.core.storage.faults import disk_fault
from pilothouse.flows.building.types import Build, Content
from pilothouse.flows.library import BUILD

_EXECUTABLE: Final = frozenset({"start.sh"})


def write_build(build: Build, output: Path, facts: Mapping[str, Any], *, force: bool) -> list[str]:
    """Write a build, in place of an earlier one of the same flow; return the names of its files.

    Files that stand there and belong to no build, such as `.env`, stay.

    Args:
        build: What to write.
        output: The folder.
        facts: What the manifest says beside the files.
        force: Whether files of an earlier build that were changed since are replaced.

    Raises:
        Conflict: when the folder holds something else, or a file of the earlier build was changed.
        StorageError: when the disk refuses; what was written so far is no build.
    """
    earlier = _earlier(output, build, force=force)
    for name in build.files:
        if name not in earlier and (output / name).exists():
            raise Conflict("this file is not of the earlier build", where=str(output / name), fix="move it away")
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / BUILD).unlink(missing_ok=True)
        for name in earlier:
            _remove(output, name)
        for name, content in build.files.items():
            place = output / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                place.write_bytes(content)
            else:
                shutil.copyfile(content, place)
            if name in _EXECUTABLE:
                place.chmod(place.stat().st_mode | 0o111)
        said = {"flow": build.name, "format": build.format, **facts, "files": _digests(build.files)}
        # Last: a folder without it is no whole build.
        (output / BUILD).write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise disk_fault(error, output, "write the build") from error
    return [*build.files, BUILD]


def _digests(files: Mapping[str, Content]) -> dict[str, str]:
    return {
        name: digest_bytes(content) if isinstance(content, bytes) else digest_file(content)
        for name, content in sorted(files.items())
    }


def _earlier(output: Path, build: Build, *, force: bool) -> list[str]:
    """Return the files of the build that stands in the folder.

    Raises:
        Conflict: when something else stands there, or the build was changed and that is not to be lost.
    """
    if not output.exists():
        return []
    if not output.is_dir():
        raise Conflict("a file of this name exists", where=str(output), fix="name another folder")
    if not any(output.iterdir()):
        return []
    said = _manifest(output)
    if said is None or said.get("flow") != build.name:
        held = f"a build of '{said['flow']}'" if said is not None and "flow" in said else "files that are no build"
        raise Conflict(f"this folder holds {held}", where=str(output), fix="name an empty folder, or a new one")
    files = {name: said["files"][name] for name in said["files"] if _is_inside(name)}
    changed = [name for name, known in files.items() if _differs(output / name, known)]
    if changed and not force:
        raise Conflict(
            f"{len(changed)} files of the earlier build were changed since",
            where=str(output / changed[0]),
            fix="keep what you changed elsewhere, then add --force",
        )
    return list(files)


def _manifest(output: Path) -> dict[str, Any] | None:
    try:
        said: Any = json.loads((output / BUILD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or not isinstance(cast("dict[str, Any]", said).get("files"), dict):
        return None
    return cast("dict[str, Any]", said)


def _is_inside(name: str) -> bool:
    # The manifest stands in a folder that anybody may have written.
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _differs(path: Path, known: str) -> bool:
    return path.is_file() and digest_file(path) != known


def _remove(output: Path, name: str) -> None:
    path = output / name
    if not path.parent.resolve().is_relative_to(output.resolve()):
        return
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == output or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()
