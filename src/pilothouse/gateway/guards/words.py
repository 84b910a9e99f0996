"""The guard `words`: terms that must not leave, or not come in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from pilothouse.core.errors import ConfigError
from pilothouse.core.structs import convert
from pilothouse.gateway.guards.types import Edit, Stage, Subject, Verdict
from pilothouse.safety.views import View


class WordsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the guard `words`.

    Attributes:
        terms: Words or phrases; a space stands for any white space. Case and look-alike letters make no difference.
        action: What happens to a call with one of them.
        text: What is put in their place.
    """

    terms: tuple[str, ...]
    action: Literal["replace", "block"] = "block"
    text: str = "[REMOVED]"


class Words:
    """Looks for terms, as whole words.

    Args:
        options: See ``WordsOptions``.

    Raises:
        ConfigError: for options that do not fit.
    """

    stages: frozenset[Stage] = frozenset({"before", "beside", "after", "stream"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = convert(dict(options), WordsOptions, where="options of words")
        terms = sorted({" ".join(View(term).lower.split()) for term in self._options.terms} - {""}, key=len)
        if not terms:
            raise ConfigError(
                "the guard 'words' has no terms", where="options of words: terms", expected="a list of words or phrases"
            )
        self.window = max(32, 2 * len(terms[-1]))
        choices = "|".join(re.escape(term).replace(r"\ ", r"\s{1,8}") for term in reversed(terms))
        self._pattern = re.compile(rf"(?<!\w)(?:{choices})(?!\w)")

    async def check(self, subject: Subject) -> Verdict:
        """Look for the terms."""
        edits = tuple(tuple(self._edits(text)) for text in subject.texts)
        count = sum(map(len, edits))
        if not count:
            return Verdict()
        if self._options.action == "block":
            return Verdict(action="block", reason="it carries a term that is not allowed", findings={"term": count})
        return Verdict(action="replace", edits=edits, findings={"term": count})

    def _edits(self, text: str) -> list[Edit]:
        view = View(text)
        spans = (view.span(*match.span()) for match in self._pattern.finditer(view.lower))
        return [Edit(start=start, end=end, text=self._options.text, kind="term") for start, end in spans]
