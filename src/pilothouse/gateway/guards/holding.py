"""Texts in pieces under one guard: held back until what they may be part of has been seen whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from pilothouse.gateway.guards.deltas import Piece
from pilothouse.gateway.guards.types import Edit

_CONTEXT: Final = 256
_LONGEST_WORD: Final = 4096
_MOST_HELD: Final = 65_536
_WIDE: Final = "\u2e80"
"""From here on scripts are written without spaces: a word is no reason to wait."""

Check = Callable[[str], Awaitable[Sequence[Edit]]]


class Event:
    """One event of a stream on its way.

    Attributes:
        raw: As it came.
        value: Its decoded data; None for none.
        held: Pieces of it that are held back.
        is_changed: Whether a piece was changed.
    """

    __slots__ = ("held", "is_changed", "raw", "value")

    def __init__(self, raw: bytes, value: dict[str, Any] | None = None) -> None:
        self.raw = raw
        self.value = value
        self.held = 0
        self.is_changed = False


class Channel:
    """One text that comes in pieces, under one guard.

    Args:
        check: Asks the guard for the changes of a text.
        window: Characters that are held back, at least.
        on_release: Told of each change that is handed on.

    Attributes:
        seen: Value of the stream's count of characters when the last piece came.
    """

    __slots__ = ("_check", "_checked", "_context", "_on_release", "_pieces", "_text", "_window", "seen")

    def __init__(self, check: Check, window: int, on_release: Callable[[Edit], None]) -> None:
        self._check = check
        self._window = window
        self._on_release = on_release
        self._context = ""
        self._text = ""
        self._checked = 0
        self._pieces: deque[tuple[Event, Piece, int]] = deque()
        self.seen = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is held back."""
        return not self._pieces

    def add(self, event: Event, piece: Piece) -> None:
        """Hold back a piece."""
        text = piece.container[piece.key]
        event.held += 1
        self._pieces.append((event, piece, len(text)))
        self._text += text

    @property
    def is_due(self) -> bool:
        """Tell whether enough has come since the last look for another one: looking at every piece would cost more."""
        return len(self._text) >= self._checked + max(16, self._window // 2) and len(self._text) > self._window

    async def advance(self, *, final: bool) -> None:
        """Look at the text and let go of what is certain; of all, at its end.

        Raises:
            Refusal: when the guard blocks, or fails.
        """
        if not self._pieces:
            return
        full, base = self._context + self._text, len(self._context)
        force = final or len(self._text) > _MOST_HELD
        limit = len(full) if force else _word_start(full)
        edits = await self._check(full[:limit]) if limit > base else ()
        cut = limit if force else max(base, min(limit, len(full) - self._window))
        count, end = self._boundary(base, cut, edits, force=force)
        self._release(full, base, edits, count)
        self._context = full[:end][-_CONTEXT:]
        self._text = full[end:]
        self._checked = len(self._text)

    def _boundary(self, base: int, cut: int, edits: Sequence[Edit], *, force: bool) -> tuple[int, int]:
        """Return how many pieces can go, and where the last of them ends: never inside of a change."""
        ends, at = [base], base
        for _, _, length in self._pieces:
            at += length
            if at > cut:
                break
            ends.append(at)
        if not force:
            for edit in reversed(edits):
                while len(ends) > 1 and edit.start < ends[-1] < edit.end:
                    ends.pop()
        return len(ends) - 1, ends[-1]

    def _release(self, full: str, base: int, edits: Sequence[Edit], count: int) -> None:
        begin = base
        for _ in range(count):
            event, piece, length = self._pieces.popleft()
            event.held -= 1
            end = begin + length
            touching = [edit for edit in edits if edit.start < end and edit.end > begin]
            if touching:
                piece.container[piece.key] = self._rewritten(full, begin, end, touching, base)
                event.is_changed = True
            begin = end

    def _rewritten(self, full: str, begin: int, end: int, edits: Sequence[Edit], base: int) -> str:
        """Return a piece with the changes that touch it; a change's own text stands in the piece it begins in."""
        parts: list[str] = []
        at = begin
        for edit in edits:
            parts.append(full[at : max(at, edit.start)])
            # What was recognised too late begins before all that is still here: its mark comes at once.
            if edit.start >= begin or (edit.start < base == begin):
                parts.append(edit.text)
                self._on_release(edit)
            at = min(end, edit.end)
        parts.append(full[at:end])
        return "".join(parts)


class Arguments(Channel):
    """A JSON document that comes in pieces: held back whole, because half a document cannot be read.

    Args:
        rewrite: Returns the document to hand on.
    """

    __slots__ = ("_rewrite",)

    def __init__(self, rewrite: Callable[[str], Awaitable[str]]) -> None:
        super().__init__(_nothing, 0, lambda _: None)
        self._rewrite = rewrite

    @property
    def is_due(self) -> bool:
        """Never before the end."""
        return False

    @property
    def is_too_long(self) -> bool:
        """Tell whether more is held back than a document may have."""
        return len(self._text) > 16 * _MOST_HELD

    async def advance(self, *, final: bool) -> None:
        """Let go of the whole document.

        Raises:
            Refusal: when the guard blocks, or fails.
        """
        if not final or not self._pieces:
            return
        rewritten = await self._rewrite(self._text) if self._text else self._text
        is_changed = rewritten != self._text
        for event, piece, _ in self._pieces:
            event.held -= 1
            if is_changed:
                piece.container[piece.key], rewritten = rewritten, ""
                event.is_changed = True
        self._pieces.clear()
        self._text = ""


async def _nothing(_: str) -> Sequence[Edit]:
    return ()


def _word_start(text: str) -> int:
    """Return where the word at the end of a text begins, or its end where that word is too long to wait for."""
    at, lowest = len(text), max(0, len(text) - _LONGEST_WORD)
    while at > lowest and not text[at - 1].isspace() and text[at - 1] < _WIDE:
        at -= 1
    return at if at > lowest or lowest == 0 else len(text)
