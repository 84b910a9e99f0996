"""The same question with typing errors, in capitals, with stray spaces, in other words: is it still answered?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilothouse.evaluation.suites.catalogue.documents import NOTES
from pilothouse.evaluation.suites.types import Check, Measure, Prompt, Suite, choice

_PARAPHRASES = (
    "I would like to know this: {question}",
    "{question} Please tell me.",
    "Could you answer a question for me? {question}",
    "Read the document and answer. {question}",
)
SIDES = ("typos", "capitals", "spaces", "paraphrase")


def with_typos(text: str, seed: int) -> str:
    """Return ``text`` with two inner letters swapped in every third of its longer words."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if re.fullmatch(r"[a-z]{5,}\W?", word)]
    for place in long[choice((0, 1, 2), seed, text) % max(1, min(3, len(long))) :: 3]:
        word = words[place]
        # A swap of two equal letters would change nothing.
        at = next((i for i in range(1, len(word) - 2) if word[i] != word[i + 1]), None)
        if at is not None:
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def _prompts(seed: int) -> tuple[Prompt, ...]:
    return tuple(_all(seed))


def _all(seed: int) -> Iterator[Prompt]:
    for note in NOTES:
        question = f"Answer from the document, in few words. {note.question}"
        sides = {
            "clean": question,
            "typos": with_typos(question, seed),
            "capitals": question.upper(),
            "spaces": "  " + question.replace(" ", "   ").replace(". ", ".\n\n") + " \n",
            "paraphrase": choice(_PARAPHRASES, seed, note.name).format(question=note.question),
        }
        for side, text in sides.items():
            yield Prompt(
                id=f"{note.name}-{side}",
                context=f"Document:\n{note.text}",
                question=text,
                cluster=note.name,
                group=note.name,
                side=side,
                check=Check(kind="answer", accepted=note.accepted),
            )


SUITE = Suite(
    name="robustness",
    about="typing errors, capitals, spaces and other words do not make answers wrong",
    prompts=_prompts,
    measures=(
        Measure(name="wrong, clean", score="wrong", sides=("clean",), limit=0.3),
        *(
            Measure(name=f"more wrong with {side}", kind="paired", score="wrong", sides=("clean", side))
            for side in SIDES
        ),
    ),
)
