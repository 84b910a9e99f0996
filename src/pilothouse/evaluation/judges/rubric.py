"""What a judge is asked: a question, and the answers it may give."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct, field

from pilothouse.core.errors import ConfigError

CANNOT_TELL = "cannot_tell"
"""The answer of a judge that has nothing to go by: the row abstains."""

Kind = Literal["binary", "ordinal", "pairwise"]


PAIRWISE: Final = {"answer_1": 1, "answer_2": -1, "tie": 0}
"""Verdicts of a comparison."""


class Example(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row that was judged rightly: what the judge was shown, its verdict, and why."""

    material: dict[str, Any]
    verdict: bool | int
    reason: str


class Rubric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question with its possible answers.

    Attributes:
        question: Asked of every row, such as "Does the answer rest on the context alone?".
        kind: ``binary`` = yes or no; ``ordinal`` = one of ``levels``; ``pairwise`` = which of two answers is better.
        levels: Of an ordinal rubric: level -> what earns it, at least two.
        guidance: What to look at and what to leave aside.
        examples: Rows that were judged rightly.
    """

    question: str
    kind: Kind = "binary"
    levels: dict[int, str] = field(default_factory=dict)
    guidance: str = ""
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a rubric that cannot be answered.

        Raises:
            ConfigError: saying what is missing.
        """
        if not self.question.strip():
            raise ConfigError("the rubric asks nothing", expected="question: a sentence that a verdict answers")
        if (self.kind == "ordinal") != bool(self.levels) or len(self.levels) == 1:
            raise ConfigError(
                f"the rubric is {self.kind} and has {len(self.levels)} levels",
                expected="kind: ordinal with at least two levels, or another kind with none",
            )
        for example in self.examples:
            if example.verdict not in self.verdicts.values():
                raise ConfigError(
                    f"an example's verdict is {example.verdict!r}",
                    expected=", ".join(map(repr, self.verdicts.values())),
                )

    @property
    def verdicts(self) -> dict[str, bool | int]:
        """The words a judge answers with, and what each is worth."""
        if self.kind == "binary":
            return {"yes": True, "no": False}
        if self.kind == "pairwise":
            return dict(PAIRWISE)
        return {str(level): level for level in sorted(self.levels)}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of an answer: the reason comes before the verdict."""
        words = [*self.verdicts, CANNOT_TELL]
        return {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "verdict": {"type": "string", "enum": words}},
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        }
