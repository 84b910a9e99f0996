"""Nouns of RAG quality: a case in numbered sentences, and a judge's reading of it."""

from __future__ import annotations

from msgspec import Struct


class Sentence(Struct, frozen=True, kw_only=True):
    """A sentence and its key: ``2.3`` = third of the second document, ``A1`` = first of the answer."""

    key: str
    text: str


class Case(Struct, frozen=True, kw_only=True):
    """A question, the documents that were retrieved for it, best first, and the answer, in sentences."""

    question: str
    documents: tuple[tuple[Sentence, ...], ...]
    answer: tuple[Sentence, ...]

    @property
    def sentences(self) -> dict[str, str]:
        """Key -> text of every sentence of the documents."""
        return {item.key: item.text for document in self.documents for item in document}


class Intent(Struct, frozen=True, kw_only=True):
    """One thing that the question asks for, and the sentences of documents that hold its answer."""

    intent: str
    found_in: tuple[str, ...] = ()


class Support(Struct, frozen=True, kw_only=True):
    """What a sentence of the answer rests on.

    Attributes:
        claims: Whether it claims anything; a greeting and a question claim nothing.
        supported: Whether documents support all that it claims.
        by: The sentences that do.
    """

    claims: bool
    supported: bool
    by: tuple[str, ...] = ()


class Reading(Struct, frozen=True, kw_only=True):
    """What a judge found in a case; every key in it is a key of the case.

    Attributes:
        declines: Whether the answer says that it does not know.
        intents: What the question asks for.
        relevant: Sentences of documents that bear on the question.
        used: Sentences of documents that the answer makes use of.
        support: Key of a sentence of the answer -> what it rests on; sentences that were not judged are absent.
        unknown: Keys in the reply that are none of this case; they count for nothing.
        contradictions: Sentences of the answer that were called supported by nothing, or judged twice and differently.
        reason: The judge's own.
    """

    declines: bool
    intents: tuple[Intent, ...]
    relevant: frozenset[str]
    used: frozenset[str]
    support: dict[str, Support]
    unknown: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    reason: str = ""
