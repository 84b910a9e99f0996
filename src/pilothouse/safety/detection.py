"""All rules over one text: what was found, and the text without it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from pilothouse.core.errors import DataError, nearest_hint
from pilothouse.safety import personal, secrets
from pilothouse.safety.types import KINDS, Finding
from pilothouse.safety.views import View


def find(text: str, kinds: Iterable[str] = KINDS) -> tuple[Finding, ...]:
    """Return what stands in a text, in order and without overlaps; of two that overlap the surer, then longer one.

    Time grows with the length of the text, whatever it says.

    Args:
        text: Any text.
        kinds: What to look for.

    Raises:
        DataError: for an unknown kind.
    """
    wanted = kinds if isinstance(kinds, frozenset) else frozenset(kinds)
    rules = _rules(wanted)
    if len(text) < 6:
        return ()
    view = View(text)
    found = [item for rule in rules for item in rule(view) if item.kind in wanted]
    if not found:
        return ()
    kept: list[Finding] = []
    for item in sorted(found, key=lambda item: (-item.score, item.start - item.end, item.start, item.kind)):
        place = bisect_left(kept, item)
        is_behind = place == 0 or kept[place - 1].end <= item.start
        if is_behind and (place == len(kept) or item.end <= kept[place].start):
            kept.insert(place, item)
    return tuple(_placed(item, view) for item in kept)


def _placed(item: Finding, view: View) -> Finding:
    start, end = view.span(item.start, item.end)
    return Finding(start=start, end=end, kind=item.kind, score=item.score)


def redact(text: str, kinds: Iterable[str] = KINDS) -> tuple[str, dict[str, int]]:
    """Return a text with ``[KIND]`` in place of each finding, and how many there were of each kind.

    Doing it twice changes nothing more.

    Raises:
        DataError: for an unknown kind.
    """
    found = find(text, kinds)
    if not found:
        return text, {}
    pieces: list[str] = []
    last = 0
    for item in found:
        pieces += (text[last : item.start], mark(item.kind))
        last = item.end
    pieces.append(text[last:])
    return "".join(pieces), dict(Counter(item.kind for item in found))


def mark(kind: str) -> str:
    """Return what is put in place of a finding."""
    return f"[{kind.upper()}]"


@lru_cache(maxsize=64)
def _rules(kinds: frozenset[str]) -> tuple[personal.Rule, ...]:
    unknown = sorted(kinds - KINDS)
    if unknown:
        raise DataError(f"there is no kind '{unknown[0]}' of findings", fix=nearest_hint(unknown[0], sorted(KINDS)))
    return tuple(rule for rule, kinds_of in {**secrets.RULES, **personal.RULES}.items() if kinds_of & kinds)
