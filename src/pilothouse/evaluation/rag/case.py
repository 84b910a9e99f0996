"""A row of a run as a case: question, documents and answer, in numbered sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pilothouse.core.errors import DataError
from pilothouse.evaluation.rag.sentences import sentences
from pilothouse.evaluation.rag.types import Case, Sentence

_TEXTS = ("text", "content", "page_content", "chunk", "document")
_CITATION = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


def case_of(question: Any, documents: Any, answer: Any) -> Case:
    """Return a case.

    Args:
        question: A text.
        documents: One text, or a list of texts or of dicts with a ``text`` or ``content``, best first.
        answer: A text.

    Raises:
        DataError: for other things.
    """
    for name, value in (("question", question), ("answer", answer)):
        if not isinstance(value, str):
            raise DataError(f"the {name} is {type(value).__name__}", expected="a text")
    texts = [_text(item) for item in _list(documents)]
    return Case(
        question=question,
        documents=tuple(
            tuple(Sentence(key=f"{place}.{n}", text=text) for n, text in enumerate(sentences(document), 1))
            for place, document in enumerate(texts, 1)
        ),
        answer=tuple(Sentence(key=f"A{n}", text=text) for n, text in enumerate(sentences(answer), 1)),
    )


def citations(text: str) -> tuple[int, ...]:
    """Return the numbers of documents that a sentence cites: ``[1]``, ``[2, 3]``."""
    return tuple(int(number) for match in _CITATION.finditer(text) for number in match[1].split(","))


def _list(documents: Any) -> Sequence[Any]:
    if isinstance(documents, str | Mapping):
        return [documents]
    if not isinstance(documents, list | tuple):
        raise DataError(f"the documents are {type(documents).__name__}", expected="a list of texts, best first")
    return cast("Sequence[Any]", documents)


def _text(document: Any) -> str:
    if isinstance(document, Mapping):
        fields = cast("Mapping[str, Any]", document)
        document = next((fields[name] for name in _TEXTS if name in fields), None)
    if isinstance(document, str):
        return document
    raise DataError("a document has no text", expected=f"a text, or a dict with {', '.join(_TEXTS)}")
