"""What reviewers are asked, on the scale that judges answer on, and how their answers are written."""

from __future__ import annotations

import math
from typing import Any, Literal

from msgspec import Struct, field, to_builtins

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.judges.rubric import Rubric

Kind = Literal["binary", "ordinal", "categories", "pairwise", "text"]

Value = bool | int | float | str
"""A label: yes or no; a level; a category; of a pair 1.0 = the candidate, 0.0 = the baseline, 0.5 = a tie; a text."""

Side = Literal["candidate", "baseline"]

MOST_TEXT = 20_000
_DIGITS = "123456789"
_LETTERS = "abdefghij"
_WORDS = {1.0: "candidate", 0.0: "baseline", 0.5: "tie"}


class Choice(Struct, frozen=True, kw_only=True):
    """One answer that may be given.

    Attributes:
        key: What is typed.
        word: What it is called; may be typed as well.
        meaning: What earns it.
    """

    key: str
    word: str
    meaning: str = ""


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question with its possible answers.

    Attributes:
        question: Asked of every item.
        kind: ``binary`` = yes or no; ``ordinal`` = one of ``levels``; ``categories`` = one of ``categories``;
            ``pairwise`` = which of two answers is better; ``text`` = words of the reviewer's own.
        levels: Of an ordinal question: level -> what earns it.
        categories: Category -> what belongs there.
        guidance: What to look at and what to leave aside.
    """

    question: str
    kind: Kind = "binary"
    levels: dict[int, str] = field(default_factory=dict[int, str])
    categories: dict[str, str] = field(default_factory=dict[str, str])
    guidance: str = ""

    def __post_init__(self) -> None:
        """Refuse a question that cannot be answered.

        Raises:
            ConfigError: saying what is missing.
        """
        if not self.question.strip():
            raise ConfigError("the queue asks nothing", expected="question: a sentence that a label answers")
        for kind, given, name in (("ordinal", self.levels, "levels"), ("categories", self.categories, "categories")):
            if (self.kind == kind) != bool(given) or len(given) == 1:
                raise ConfigError(
                    f"the question is {self.kind} and has {len(given)} {name}",
                    expected=f"kind: {kind} with at least two {name}, or another kind with none",
                )
        if len(self.levels) + len(self.categories) > len(_DIGITS):
            raise ConfigError(
                "there are more answers than keys", expected=f"at most {len(_DIGITS)} levels or categories"
            )
        words = [word.casefold().strip() for word in self.categories]
        if len(set(words)) < len(words) or "" in words:
            raise ConfigError("two categories are called the same, or one has no name", expected="different names")

    @classmethod
    def of_rubric(cls, rubric: Rubric) -> Question:
        """Return the question that a judge is asked."""
        return cls(question=rubric.question, kind=rubric.kind, levels=rubric.levels, guidance=rubric.guidance)

    @property
    def version(self) -> str:
        """The digest of all that decides what a label means."""
        return digest(to_builtins(self, str_keys=True))

    @property
    def is_ordered(self) -> bool:
        """Whether labels have an order that figures may use."""
        return self.kind == "ordinal"

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The answers that may be given; none where it is a text."""
        if self.kind == "binary":
            return Choice(key="1", word="yes"), Choice(key="2", word="no")
        if self.kind == "pairwise":
            better = ("answer 1 is better", "answer 2 is better", "neither is better")
            return tuple(
                Choice(key=key, word=word, meaning=text)
                for key, word, text in zip("123", ("1", "2", "tie"), better, strict=True)
            )
        named = {str(level): self.levels[level] for level in sorted(self.levels)} or self.categories
        own = self.kind == "ordinal" and all(0 <= level <= 9 for level in self.levels)
        # A digit is either a key or a word, never both with two meanings.
        keys = _LETTERS if any(word.strip() in _DIGITS for word in named) else _DIGITS
        return tuple(
            Choice(key=word if own else keys[place], word=word, meaning=text)
            for place, (word, text) in enumerate(named.items())
        )

    def read(self, answer: str, first: Side | None = None) -> Value:
        """Return the label that an answer means.

        Args:
            answer: A key, a word, or the text itself.
            first: Of a pair, which side the reviewer saw as answer 1.

        Raises:
            DataError: the answer is none of those that may be given.
        """
        if self.kind == "text":
            return _text(answer)
        said = answer.strip().casefold()
        # A word is what it says, even where another answer has it for a key.
        found = next((item for item in self.choices if item.word.casefold() == said), None)
        found = found or next((item for item in self.choices if item.key == said), None)
        if found is None and self.kind == "binary":
            found = {"y": self.choices[0], "n": self.choices[1]}.get(said)
        if found is None:
            known = ", ".join(
                item.word if item.key == item.word else f"{item.key} = {item.word}" for item in self.choices
            )
            raise DataError(f"{answer[:80]!a} is no answer to this question", expected=known)
        if self.kind == "pairwise":
            return 0.5 if found.word == "tie" else float((found.word == "1") == (first == "candidate"))
        return {"binary": found.word == "yes", "ordinal": int(found.word) if self.levels else 0}.get(
            self.kind, found.word
        )

    def key_of(self, value: Value, first: Side | None = None) -> str:
        """Return the key that gives a label; the empty text where a label has none."""
        for choice in self.choices:
            if self.read(choice.word, first) == value:
                return choice.key
        return ""

    def word(self, value: Value | None) -> str:
        """Return a label as files and tables show it; of a pair, by its sides."""
        if value is None:
            return ""
        if self.kind == "pairwise" and not isinstance(value, str):
            return _WORDS[float(value)]
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value)

    def number(self, value: Value) -> float:
        """Return a label as a number that stands for it, in order where there is one."""
        if self.kind == "categories":
            return float(list(self.categories).index(str(value)))
        if isinstance(value, str):
            raise DataError("a text is no figure", expected="a question with answers to choose from")
        return float(value)

    def of_number(self, number: float) -> Value:
        """Return the label that a number stands for."""
        if self.kind == "categories":
            return list(self.categories)[int(number)]
        return {"binary": bool(number), "ordinal": int(number)}.get(self.kind, number)


def _text(answer: str) -> str:
    said = answer.strip()
    if not said:
        raise DataError("the answer is empty", expected="a text, or skip the item")
    return bounded(said, "the answer")


def bounded(text: str, what: str) -> str:
    """Return a reviewer's words as they can be kept.

    Raises:
        DataError: they are too long.
    """
    if len(text) > MOST_TEXT:
        raise DataError(f"{what} has {len(text):,} characters", expected=f"at most {MOST_TEXT:,}")
    # A lone surrogate has no form in UTF-8.
    return text.encode("utf-8", "replace").decode()


def storable(value: Any) -> Any:
    """Return any JSON-like value so that it can be kept: NaN and lone surrogates become texts that say so."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(storable(key)): storable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
