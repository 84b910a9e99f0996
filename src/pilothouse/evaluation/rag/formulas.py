"""The figures of a case, each under the name of its definition.

===============================  ==============================================================================
name                             definition
===============================  ==============================================================================
``relevance.trace_sentences``    relevant sentences over all sentences of the documents (TRACe, lengths in sentences)
``utilization.trace_sentences``  used sentences over all sentences of the documents (TRACe)
``completeness.trace``           relevant and used sentences over relevant sentences (TRACe)
``adherence.trace``              whether every sentence of the answer that claims anything is supported (TRACe)
``groundedness.claims``          supported over claiming sentences of the answer (ragas' faithfulness, claim = sentence)
``completeness.intents``         intents of the question whose answer is in a document, over all intents
``completeness.intents_sq``      its square (Microsoft's architecture guide for RAG)
``utilization.chunks``           documents with a used sentence over all documents (the guide)
``context_utilization.ap``       mean over used documents of the share used up to each (ragas' context utilization)
``citations.right``              citations like [2] whose document supports their sentence, over all citations
===============================  ==============================================================================

A figure with nothing to divide by has no value: it abstains. An answer that says it does not know has no groundedness
and no use of documents to measure: those abstain, too, while the documents are measured all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pilothouse.evaluation.rag.case import citations
from pilothouse.evaluation.rag.types import Case, Reading, Sentence
from pilothouse.evaluation.types import Score, State

DEFINITIONS = 1
"""Raised when a definition changes: scores of different definitions are of different evaluators."""

DECLINED = "the answer says that it does not know"


class Figure(NamedTuple):
    """A figure of one case: its value, or why there is none, and what it rests on."""

    value: float | bool | None
    evidence: dict[str, Any]
    state: State = "ok"

    def score(self, name: str) -> Score:
        """Return it as a score."""
        return Score(name=name, state=self.state, value=self.value, evidence=self.evidence)


def relevance(case: Case, reading: Reading) -> Figure:
    """Return TRACe's relevance."""
    return _ratio(len(reading.relevant), len(case.sentences), "nothing was retrieved")


def utilization(case: Case, reading: Reading) -> Figure:
    """Return TRACe's utilisation."""
    if reading.declines:
        return _none(DECLINED)
    return _ratio(len(reading.used), len(case.sentences), "nothing was retrieved")


def completeness(case: Case, reading: Reading) -> Figure:
    """Return TRACe's completeness; its evidence are relevant sentences that the answer leaves out."""
    if reading.declines:
        return _none(DECLINED)
    left_out = [_shown(key, case) for key in case.sentences if key in reading.relevant - reading.used]
    both = len(reading.relevant & reading.used)
    return _ratio(both, len(reading.relevant), "no sentence is relevant", left_out=left_out)


def groundedness(case: Case, reading: Reading) -> Figure:
    """Return the share of supported sentences; unparsable when a sentence of the answer was not judged."""
    claims, missing = _claims(case, reading)
    if reading.declines:
        return _none(DECLINED)
    if missing:
        return Figure(None, {"why": "not every sentence of the answer was judged", "not_judged": missing}, "unparsable")
    unsupported = [item for item in claims if not reading.support[item.key].supported]
    return _ratio(
        len(claims) - len(unsupported),
        len(claims),
        "the answer claims nothing",
        unsupported=[_told(item) for item in unsupported],
    )


def adherence(case: Case, reading: Reading) -> Figure:
    """Return whether all is supported; one unsupported sentence decides, whether or not the others were judged."""
    claims, missing = _claims(case, reading)
    if reading.declines:
        return _none(DECLINED)
    unsupported = [_told(item) for item in claims if not reading.support[item.key].supported]
    if unsupported:
        return Figure(False, {"unsupported": unsupported})
    if missing:
        return Figure(None, {"why": "not every sentence of the answer was judged", "not_judged": missing}, "unparsable")
    return Figure(True, {"unsupported": []}) if claims else _none("the answer claims nothing")


def intents(case: Case, reading: Reading) -> Figure:
    """Return the share of intents that the documents answer."""
    missing = [item.intent for item in reading.intents if not item.found_in]
    total = len(reading.intents)
    return _ratio(total - len(missing), total, "the question asks for nothing", missing=missing)


def intents_squared(case: Case, reading: Reading) -> Figure:
    """Return the guide's completeness; the plain ratio is in its evidence."""
    plain = intents(case, reading)
    if plain.value is None:
        return plain
    return Figure(float(plain.value) ** 2, {**plain.evidence, "ratio": plain.value})


def chunk_utilization(case: Case, reading: Reading) -> Figure:
    """Return the share of documents that the answer makes use of."""
    if reading.declines:
        return _none(DECLINED)
    used = _used_documents(case, reading)
    unused = [place for place, is_used in enumerate(used, 1) if not is_used]
    return _ratio(sum(used), len(used), "nothing was retrieved", unused_documents=unused)


def context_utilization(case: Case, reading: Reading) -> Figure:
    """Return the average precision of used documents in their order; 0.0 when none is used."""
    if reading.declines:
        return _none(DECLINED)
    used = _used_documents(case, reading)
    if not used:
        return _none("nothing was retrieved")
    total = sum(sum(used[:place]) / place for place, is_used in enumerate(used, 1) if is_used)
    places = [place for place, is_used in enumerate(used, 1) if is_used]
    return Figure(total / len(places) if places else 0.0, {"used_documents": places, "documents": len(used)})


def right_citations(case: Case, reading: Reading) -> Figure:
    """Return the share of citations that stand where their document supports the sentence."""
    told = [(item, number) for item in case.answer for number in citations(item.text)]
    if not told:
        return _none("the answer cites nothing")
    missing = sorted({item.key for item, _ in told if item.key not in reading.support})
    if missing:
        return Figure(None, {"why": "not every sentence that cites was judged", "not_judged": missing}, "unparsable")
    wrong = [
        {**_told(item), "cites": number}
        for item, number in told
        if not any(key.startswith(f"{number}.") for key in reading.support[item.key].by)
    ]
    return _ratio(len(told) - len(wrong), len(told), "", wrong=wrong)


FIGURES: dict[str, Callable[[Case, Reading], Figure]] = {
    "groundedness.claims": groundedness,
    "adherence.trace": adherence,
    "relevance.trace_sentences": relevance,
    "utilization.trace_sentences": utilization,
    "completeness.trace": completeness,
    "completeness.intents": intents,
    "completeness.intents_sq": intents_squared,
    "utilization.chunks": chunk_utilization,
    "context_utilization.ap": context_utilization,
    "citations.right": right_citations,
}


def _claims(case: Case, reading: Reading) -> tuple[list[Sentence], list[str]]:
    """Return the sentences of the answer that claim something, and the keys of those that were not judged."""
    missing = [item.key for item in case.answer if item.key not in reading.support]
    return [item for item in case.answer if item.key in reading.support and reading.support[item.key].claims], missing


def _used_documents(case: Case, reading: Reading) -> list[bool]:
    return [any(item.key in reading.used for item in document) for document in case.documents]


def _ratio(numerator: int, denominator: int, why_not: str, **evidence: Iterable[Any]) -> Figure:
    if not denominator:
        return _none(why_not)
    return Figure(numerator / denominator, {"numerator": numerator, "denominator": denominator, **evidence})


def _none(why: str) -> Figure:
    return Figure(None, {"why": why}, "abstained")


def _shown(key: str, case: Case) -> dict[str, str]:
    return {"key": key, "text": case.sentences[key]}


def _told(item: Sentence) -> dict[str, str]:
    return {"key": item.key, "text": item.text}
