"""The guard `redact`: personal data and secrets, found by the rules of `safety`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.core.structs import convert
from pilothouse.gateway.guards.types import Edit, Stage, Subject, Verdict
from pilothouse.safety.detection import find, mark
from pilothouse.safety.types import KINDS, PERSONAL, SECRETS, Finding

_GROUPS = {"personal": PERSONAL, "secrets": SECRETS, "all": KINDS}
_LONG = 131_072


class RedactOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the guard `redact`.

    Attributes:
        action: ``replace`` puts ``[KIND]`` in the place of a finding, ``block`` refuses the call.
        kinds: What is looked for: kinds, or the groups ``personal``, ``secrets`` and ``all``.
        least_score: Findings the rules are less sure of are left alone, 0 to 1.
    """

    action: Literal["replace", "block"] = "replace"
    kinds: tuple[str, ...] = ("all",)
    least_score: float = 0.0


class Redact:
    """Takes personal data and secrets out of requests and answers.

    Args:
        options: See ``RedactOptions``.

    Raises:
        ConfigError: for options that do not fit.
    """

    stages: frozenset[Stage] = frozenset({"before", "beside", "after", "stream"})
    window = 64

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = convert(dict(options), RedactOptions, where="options of redact")
        self._kinds = frozenset[str]().union(*(_GROUPS.get(kind, {kind}) for kind in self._options.kinds))
        try:
            find("", self._kinds)
        except DataError as error:
            raise ConfigError(error.message, where="options of redact: kinds", fix=error.fix) from error

    async def check(self, subject: Subject) -> Verdict:
        """Look for what the options name."""
        # A long text would keep all other calls of the process waiting.
        is_long = sum(map(len, subject.texts)) > _LONG
        found = await asyncio.to_thread(self._find, subject.texts) if is_long else self._find(subject.texts)
        findings = dict(Counter(item.kind for items in found for item in items))
        if not findings:
            return Verdict()
        if self._options.action == "block":
            kinds = ", ".join(sorted(findings))
            return Verdict(action="block", reason=f"it carries {kinds}", findings=findings)
        return Verdict(
            action="replace",
            edits=tuple(
                tuple(Edit(start=item.start, end=item.end, text=mark(item.kind), kind=item.kind) for item in items)
                for items in found
            ),
            findings=findings,
        )

    def _find(self, texts: tuple[str, ...]) -> list[list[Finding]]:
        least = self._options.least_score
        return [[item for item in find(text, self._kinds) if item.score >= least] for text in texts]
