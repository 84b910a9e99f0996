"""Sentences of a text, by rules alone: nothing is downloaded, and the same text always has the same sentences."""

from __future__ import annotations

import re

# After a full stop, question or exclamation mark, with closing quotes, brackets and citations like [2]; a line break
# between paragraphs or before an item of a list ends a sentence, too.
_END = re.compile(
    r"""(?P<mark>[.!?…]+["'”’»)\]]*(?:\s?\[\d+(?:\s*,\s*\d+)*\])*)(?=\s+["'“‘«(\[]*[^\sa-z])"""
    r"""|(?P<wide>[。！？]+)|(?P<line>\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s))""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'])(?:[A-Za-z]|\d+|e\.g|i\.e|cf|vs|approx|Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|Inc|Ltd|Co|Corp|No|Nos|Fig|Figs"
    r"|Eq|Sec|Ch|Vol|pp|Art|Dept|Gen|Col|Sgt|Capt|Rev|Hon|U\.S|U\.K|a\.m|p\.m|et\sal)\.$"
)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, their white space made single.

    Abbreviations, initials and numbers of a list do not end one; a sentence that begins in lower case is taken for the
    rest of the one before.
    """
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if match["mark"] is not None and _is_abbreviation(text[start : match.end()]):
            continue
        found.append(text[start : match.end()])
        start = match.end()
    found.append(text[start:])
    return [cleaned for part in found if (cleaned := " ".join(part.split())) and re.search(r"\w", cleaned)]


def _is_abbreviation(part: str) -> bool:
    tail = part[-16:] if len(part) > 16 else part
    match = _ABBREVIATION.search(tail)
    if match is None:
        return False
    # "4." ends a sentence that has other words ("It was 4."); alone it numbers an item of a list.
    word = match[0].strip()[:-1]
    return not word.isdigit() or part.strip()[:-1] == word
