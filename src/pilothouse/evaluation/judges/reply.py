"""What a judge answered, read strictly: a verdict that the rubric knows, or none."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pilothouse.evaluation.judges.rubric import CANNOT_TELL, Rubric

_BLOCK = re.compile(r"\s*```(?:json)?\s*\n(?P<body>.*)\n\s*```\s*", re.DOTALL)
_SHOWN = 500


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer of a judge.

    Attributes:
        state: ``ok``; ``abstained`` = it could not tell; ``unparsable`` = prose, another form, or an unknown verdict;
            ``error`` = there was no answer.
        verdict: What the verdict is worth; None unless the state is ``ok``.
        reason: The judge's own; the beginning of the answer where it could not be read; what failed.
        judge: Provider and model.
    """

    state: Literal["ok", "abstained", "unparsable", "error"]
    verdict: bool | float | None = None
    reason: str = ""
    judge: str = ""


class _Answer(Struct):
    verdict: str | int | bool
    reason: str = ""


def read(text: str, rubric: Rubric) -> Reply:
    """Return the verdict of an answer.

    The whole answer is JSON, or one block of it: a number or a word somewhere in prose is never taken for a verdict.
    """
    try:
        answer = msgspec.convert(document(text), _Answer)
    except (msgspec.ValidationError, ValueError):
        return Reply(state="unparsable", reason=text[:_SHOWN])
    said = {True: "yes", False: "no"}[answer.verdict] if isinstance(answer.verdict, bool) else str(answer.verdict)
    word = said.strip().lower()
    if word == CANNOT_TELL:
        return Reply(state="abstained", reason=answer.reason)
    if word not in rubric.verdicts:
        return Reply(state="unparsable", reason=text[:_SHOWN])
    return Reply(state="ok", verdict=rubric.verdicts[word], reason=answer.reason)


def document(text: str) -> Any:
    """Return the one JSON document that an answer is, bare or as one block.

    Raises:
        ValueError: when it is none, or says one thing twice: of two verdicts neither is meant.
    """
    block = _BLOCK.fullmatch(text)
    try:
        return json.loads(block["body"] if block else text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found
