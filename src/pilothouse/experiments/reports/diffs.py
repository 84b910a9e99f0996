"""Two texts side by side: which lines and words one has and the other lacks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup
from msgspec import Struct

from pilothouse.experiments.reports.visible import inert

CONTEXT = 3
"""Unchanged lines kept on each side of a change."""

MOST_LINES = 2000
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


class DiffLine(Struct, frozen=True, kw_only=True):
    """One line of both sides, or a gap of unchanged lines that are not shown."""

    left: Markup = Markup("")
    right: Markup = Markup("")
    left_css: str = "same"
    right_css: str = "same"
    gap: int = 0


def side_by_side(before: str, after: str) -> tuple[DiffLine, ...]:
    """Return the two texts aligned line by line; long unchanged stretches become gaps."""
    left, right = before.splitlines()[:MOST_LINES], after.splitlines()[:MOST_LINES]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    lines: list[DiffLine] = []
    blocks = matcher.get_opcodes()
    for place, (kind, start, end, other, stop) in enumerate(blocks):
        if kind == "equal":
            lines.extend(_unchanged(left[start:end], first=place == 0, last=place == len(blocks) - 1))
        else:
            lines.extend(_changed(left[start:end], right[other:stop]))
    return tuple(lines)


def _unchanged(lines: Sequence[str], *, first: bool, last: bool) -> Iterator[DiffLine]:
    head = 0 if first else CONTEXT
    tail = 0 if last else CONTEXT
    hidden = len(lines) - head - tail
    if hidden < 4:
        yield from (_same(line) for line in lines)
        return
    yield from (_same(line) for line in lines[:head])
    yield DiffLine(gap=hidden)
    yield from (_same(line) for line in lines[len(lines) - tail :])


def _same(line: str) -> DiffLine:
    shown = inert(line)
    return DiffLine(left=shown, right=shown)


def _changed(left: Sequence[str], right: Sequence[str]) -> Iterator[DiffLine]:
    for index in range(max(len(left), len(right))):
        if index >= len(left):
            yield DiffLine(right=_wrap("ins", right[index]), left_css="blank", right_css="new")
        elif index >= len(right):
            yield DiffLine(left=_wrap("del", left[index]), left_css="gone", right_css="blank")
        else:
            before, after = _words(left[index], right[index])
            yield DiffLine(left=before, right=after, left_css="gone", right_css="new")


def _words(before: str, after: str) -> tuple[Markup, Markup]:
    """Return both lines with the words that changed marked."""
    left, right = _WORDS.findall(before), _WORDS.findall(after)
    shown: tuple[list[Markup], list[Markup]] = ([], [])
    for kind, start, end, other, stop in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        gone, new = "".join(left[start:end]), "".join(right[other:stop])
        shown[0].append(inert(gone) if kind == "equal" else _wrap("del", gone))
        shown[1].append(inert(new) if kind == "equal" else _wrap("ins", new))
    return Markup("").join(shown[0]), Markup("").join(shown[1])


def _wrap(tag: str, text: str) -> Markup:
    return Markup("<{}>{}</{}>").format(Markup(tag), inert(text), Markup(tag)) if text else Markup("")  # noqa: S704
