"""Secrets that a person types, kept in the project's `.env`: for the owner's eyes, and out of version control."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pilothouse.core.errors import UserError
from pilothouse.core.storage.files import write_atomic

FILE: Final = ".env"
_OWNER_ONLY: Final = 0o600
_IGNORING = re.compile(r"/?(\*\*/)?(\.env\*?|\*\.env|\.\*|\*)/?")


def keep_secrets(root: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    """Add variables to ``root/.env``; what stands there already stays as it is.

    The file is made readable for its owner alone, and git is told to leave it out.

    Args:
        root: The project's folder.
        values: Variable -> secret.

    Returns:
        What was done beside, in words.

    Raises:
        UserError: for a secret of several lines, which a line of the file cannot hold.
        StorageError: when a file cannot be written.
    """
    for name, value in values.items():
        if any(not letter.isprintable() for letter in value):
            raise UserError(
                f"the value of {name} has a line break or another letter that cannot be seen",
                expected="one line",
                fix=f"put it into a file, and ${{file:path}} into the connection in place of ${{env:{name}}}",
            )
    # A link stays a link: what it leads to is written.
    path = (root / FILE).resolve()
    done: list[str] = []
    before = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(_OWNER_ONLY)
        done.append(f"{FILE} can now be read by its owner alone")
    if before and not before.endswith("\n"):
        before += "\n"
    # Ignored first: a secret must not stand for a moment where git would take it.
    done += _ignored(root)
    lines = "".join(f"{name}='{value}'\n" for name, value in values.items())
    write_atomic(path, (before + lines).encode(), mode=_OWNER_ONLY)
    return tuple(done)


def _ignored(root: Path) -> list[str]:
    """Make git ignore the file, where the project is under git and does not do so yet."""
    folders = [root, *root.parents]
    top = next((place for place, folder in enumerate(folders) if (folder / ".git").exists()), None)
    if top is None or any(_ignores(folder / ".gitignore") for folder in folders[: top + 1]):
        return []
    path = root / ".gitignore"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    write_atomic(path, f"{before}{FILE}\n".encode())
    return [f"{FILE} was added to .gitignore"]


def _ignores(path: Path) -> bool:
    if not path.is_file():
        return False
    return any(_IGNORING.fullmatch(line.strip()) for line in path.read_text(encoding="utf-8").splitlines())
