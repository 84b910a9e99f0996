"""A decision as a comment for a pull request: the verdict, the rules with their numbers, the rows that decide."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilothouse.experiments.gates.types import Decision, Outcome, rows_text

WORDS: dict[Outcome, str] = {"pass": "passes", "fail": "FAILS", "inconclusive": "is INCONCLUSIVE"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&$-])")
_ORDER: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def markdown(decision: Decision, url: str | None = None) -> str:
    """Return a decision as Markdown, free of anything that data could smuggle into a page.

    Args:
        decision: The decision.
        url: Where the experiment's report can be read.
    """
    return "\n".join(_lines(decision, url)) + "\n"


def verdict(decision: Decision) -> str:
    """Return the outcome in one line."""
    counts = ", ".join(f"{decision.counts[word]} {word}" for word in _ORDER if decision.counts.get(word))
    against = f" against {decision.baseline}" if decision.baseline else ""
    return f"The gate {WORDS[decision.outcome]}: {decision.experiment} ({decision.variant}){against}: {counts}"


def _lines(decision: Decision, url: str | None) -> Iterator[str]:
    yield f"## {_text(verdict(decision))}"
    yield ""
    for note in decision.notes:
        yield f"> **{_text(note)}**"
        yield ""
    yield "| | Rule | Figure | Why |"
    yield "|---|---|---|---|"
    rules = sorted(decision.rules, key=lambda rule: _ORDER.index(rule.outcome))
    for rule in rules:
        mark = f"**{rule.outcome}**" if rule.outcome != "pass" else "pass"
        yield f"| {mark} | {_text(rule.name)} | {_text(rule.figure)} | {_text(rule.reason)} |"
    yield ""
    for rule in rules:
        if rule.rows:
            yield f"- {_text(rule.name)}: rows {_text(rows_text(rule))}"
    yield ""
    report = f"[report](<{url.replace('>', '%3E')}>)" if url else f"report: {_text(decision.report or 'none')}"
    yield f"{report}; run {_text(decision.run)}; alpha {decision.alpha:g}"


def _text(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
