"""Nouns of a migration: what was found in a file, and what that means for the file, its project and the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

Verdict = Literal["runs", "note", "change", "unread"]
"""``runs`` as it is, ``note`` = runs, but read the note, ``change`` = needs one, ``unread`` = nobody looked inside."""

WORDS: Final[dict[Verdict, str]] = {
    "runs": "runs as it is",
    "note": "runs with a note",
    "change": "needs a change",
    "unread": "not read",
}


class Finding(Struct, frozen=True, kw_only=True):
    """One thing to know about a file.

    Attributes:
        verdict: ``note`` or ``change``; ``unread`` says why a file, or a part of it, was not looked at.
        message: What was found.
        line: 1-based line, where there is one.
        fix: What to do; every ``change`` has one.
    """

    verdict: Verdict
    message: str
    line: int | None = None
    fix: str | None = None


class FileReport(Struct, frozen=True, kw_only=True):
    """What became of one file.

    Attributes:
        path: Relative to the folder that was checked.
        project: The project it belongs to, likewise relative; ``.`` = the folder itself.
        kind: What the file was taken for.
        verdict: The strongest of its findings; ``unread`` only where the whole file was not read.
        findings: In the order of their lines.
    """

    path: str
    project: str
    kind: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()


class Report(Struct, frozen=True, kw_only=True):
    """The report of a folder: every file below it stands in ``files``."""

    root: str
    files: tuple[FileReport, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """Files by verdict."""
        return count(self.files)

    @property
    def projects(self) -> dict[str, tuple[FileReport, ...]]:
        """Files by project, in order."""
        found: dict[str, list[FileReport]] = {}
        for file in self.files:
            found.setdefault(file.project, []).append(file)
        return {name: tuple(files) for name, files in sorted(found.items())}


def count(files: Iterable[FileReport]) -> dict[Verdict, int]:
    """Return how many of ``files`` have each verdict."""
    counts: dict[Verdict, int] = dict.fromkeys(WORDS, 0)
    for file in files:
        counts[file.verdict] += 1
    return counts


def strongest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of a whole whose parts have ``verdicts``: a change beats a note.

    A part that was not read makes a note of the whole: it is not called fine.
    """
    found = set(verdicts)
    if "change" in found:
        return "change"
    return "note" if found & {"note", "unread"} else "runs"


def note(message: str, line: int | None = None, fix: str | None = None) -> Finding:
    """Return a finding that leaves the file running."""
    return Finding(verdict="note", message=message, line=line, fix=fix)


def change(message: str, fix: str, line: int | None = None) -> Finding:
    """Return a finding that must be mended, and how."""
    return Finding(verdict="change", message=message, line=line, fix=fix)
