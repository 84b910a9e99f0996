"""RAG quality: figures of cases with planted faults, replies read strictly, sentences, and a judge at work."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.building import FakeModels, answer

from pilothouse.core.errors import DataError, ModelError, UserError
from pilothouse.evaluation.aggregate import estimates
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.rag.asking import messages, read
from pilothouse.evaluation.rag.case import case_of, citations
from pilothouse.evaluation.rag.formulas import FIGURES
from pilothouse.evaluation.rag.sentences import sentences
from pilothouse.evaluation.session import EvaluationSession
from pilothouse.evaluation.types import EvaluationResult, EvaluationRow, EvaluatorSpec, Score

FIXTURE = yaml.safe_load((Path(__file__).parents[1] / "data" / "rag_cases.yaml").read_text())
CASES = {case["id"]: {**FIXTURE["topics"][case["topic"]], **case} for case in FIXTURE["cases"]}


def row(case: dict[str, Any]) -> dict[str, Any]:
    return {name: case[name] for name in ("question", "documents", "answer")}


def reply_to(case: dict[str, Any]) -> str:
    support = [
        {"sentence": key, "claims": by is not None, "supported": bool(by), "by": by or []}
        for key, by in case["support"].items()
    ]
    return json.dumps(
        {
            "reason": "read with care",
            "intents": [{"intent": text, "found_in": keys} for text, keys in case["intents"].items()],
            "relevant": case["relevant"],
            "used": case["used"],
            "support": support,
            "declines": case.get("declines", False),
        }
    )


def load(models: FakeModels, **options: Any) -> Evaluator:
    return load_evaluator(EvaluatorSpec(name="rag", source="rag", options=options), Path(), None, models)  # type: ignore[arg-type]


def judged(models: FakeModels, *rows: dict[str, Any]) -> EvaluationResult:
    async def run() -> EvaluationResult:
        async with EvaluationSession([load(models, connection="fake")]) as session:
            for number, arguments in enumerate(rows):
                await session.score(EvaluationRow(id=str(number), arguments={"rag": arguments}), number)
            return await session.finish()

    return asyncio.run(run())


def by_name(result: EvaluationResult, place: int = 0) -> dict[str, Score]:
    return {score.name: score for score in result.rows[place].scores}


def test_the_fixture_has_every_fault() -> None:
    assert len(CASES) == 24
    faults = {case["fault"] for case in CASES.values()}
    assert {"none", "unsupported claim", "missing part", "unused chunks", "wrong citation", "declines"} <= faults
    assert FIXTURE["figures"] == list(FIGURES)


@pytest.mark.parametrize("name", CASES)
def test_figures_of_a_case_worked_out_by_hand(name: str) -> None:
    case = CASES[name]
    models = FakeModels(lambda _: answer(reply_to(case)))
    scores = by_name(judged(models, row(case)))
    assert len(models.fake.requests) == 1
    found = {
        figure: scores[figure].value if scores[figure].state == "ok" else scores[figure].state for figure in FIGURES
    }
    expected = dict(zip(FIXTURE["figures"], case["expect"], strict=True))
    assert found == {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in expected.items()
    }
    assert scores["declined"].value is case.get("declines", False)


def test_sentences_are_the_evidence() -> None:
    def of(name: str) -> dict[str, Score]:
        return by_name(judged(FakeModels(lambda _: answer(reply_to(CASES[name]))), row(CASES[name])))

    unsupported = of("museum-unsupported")["groundedness.claims"].evidence
    assert (unsupported["numerator"], unsupported["denominator"]) == (2, 3)
    assert unsupported["unsupported"] == [{"key": "A3", "text": "Students pay half."}]
    left_out = of("museum-missing")["completeness.trace"].evidence["left_out"]
    assert left_out == [{"key": "1.1", "text": "The museum opens at 9 a.m. on weekdays."}]
    assert of("visa-right")["utilization.chunks"].evidence["unused_documents"] == [1, 2, 4]
    assert of("pump-right")["completeness.intents_sq"].evidence["missing"] == ["parts"]
    assert of("pump-right")["completeness.intents_sq"].evidence["ratio"] == pytest.approx(2 / 3)
    assert of("museum-citation")["citations.right"].evidence["wrong"][0]["cites"] == 3
    whole = of("museum-right")["declined"].evidence
    assert whole["sentences"]["2.1"] == "A ticket costs 12 euros."
    assert (whole["reading"]["relevant"], whole["calibration"]) == (["1.1", "2.1"], "uncalibrated")


def test_figures_over_rows_count_what_abstained() -> None:
    names = ["museum-right", "museum-unsupported", "museum-declines"]
    replies = {CASES[name]["answer"].replace(" [1]", ""): name for name in names}

    def reply(request: Any) -> Any:
        text = str(request.messages[-1].content)
        name = "museum-declines" if "I do not know" in text else names[1] if "Students" in text else names[0]
        return answer(reply_to(CASES[name]))

    assert len(replies) == 3
    result = judged(FakeModels(reply), *(row(CASES[name]) for name in names))
    figures = {item.name: item for item in estimates(result.metrics, result.rows)}
    grounded = figures["groundedness.claims"]
    assert (grounded.value, grounded.n, grounded.excluded) == (pytest.approx(5 / 6), 2, {"abstained": 1})
    assert (figures["adherence.trace"].value, figures["declined"].value) == (0.5, pytest.approx(1 / 3))


MUSEUM = case_of(**row(CASES["museum-right"]))


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(reply_to(CASES["museum-right"])), **fields})


def test_unknown_keys_are_counted_and_never_guessed() -> None:
    reading = read(changed(relevant=["1.1", "1.9", "doc 2", " 2.1 "], used=["A1", "2.1"]), MUSEUM)
    assert (reading.relevant, reading.used) == ({"1.1", "2.1"}, {"2.1"})
    assert reading.unknown == ("1.9", "doc 2", "A1")


def test_support_without_a_sentence_that_supports_is_none() -> None:
    told = [{"sentence": "A1", "claims": True, "supported": True, "by": ["7.7"]}]
    reading = read(changed(support=told), MUSEUM)
    assert not reading.support["A1"].supported
    assert (reading.contradictions, reading.unknown) == (("A1",), ("7.7",))


def test_a_sentence_judged_twice_or_not_at_all_is_not_judged() -> None:
    twice = [
        {"sentence": "A1", "claims": True, "supported": True, "by": ["1.1"]},
        {"sentence": "A1", "claims": True, "supported": False, "by": []},
        {"sentence": "A2", "claims": True, "supported": True, "by": ["2.1"]},
    ]
    reading = read(changed(support=twice), MUSEUM)
    assert (set(reading.support), reading.contradictions) == ({"A2"}, ("A1",))
    assert FIGURES["groundedness.claims"](MUSEUM, reading).state == "unparsable"
    assert FIGURES["adherence.trace"](MUSEUM, reading).state == "unparsable"
    assert FIGURES["citations.right"](MUSEUM, reading).state == "unparsable"
    assert FIGURES["relevance.trace_sentences"](MUSEUM, reading).value == 0.4
    one = [{"sentence": "A2", "claims": True, "supported": False, "by": []}]
    assert FIGURES["adherence.trace"](MUSEUM, read(changed(support=one), MUSEUM)).value is False


@pytest.mark.parametrize("text", ["", "fine", "[]", "{}", changed(relevant="1.1"), changed(declines="maybe")])
def test_another_form_is_no_reading(text: str) -> None:
    with pytest.raises(DataError):
        read(text, MUSEUM)


def test_what_fails_is_a_state_of_all_figures() -> None:
    def reply(request: Any) -> Any:
        text = str(request.messages[-1].content)
        if "broken" in text:
            raise ModelError("the provider is gone", status=500)
        return answer("I think it is fine.")

    asked = row(CASES["museum-right"])
    models = FakeModels(reply)
    result = judged(
        models,
        {**asked, "question": "broken?"},
        asked,
        {**asked, "answer": " "},
        {**asked, "documents": 3},
        {"question": "q", "answer": "a"},
    )
    assert [[score.state for score in item.scores] for item in result.rows] == [
        ["error"], ["unparsable"], ["abstained"], ["error"], ["error"],
    ]  # fmt: skip
    assert len(models.fake.requests) == 2
    for figure in estimates(result.metrics, result.rows):
        assert (figure.value, figure.excluded) == (None, {"abstained": 1, "error": 3, "unparsable": 1})


def test_nothing_retrieved_leaves_documents_unmeasured() -> None:
    case = case_of("q?", [], "It is so.")
    reading = read(changed(relevant=[], used=[], support=[
        {"sentence": "A1", "claims": True, "supported": False, "by": []}], intents=[{"intent": "q", "found_in": []}]),
        case,
    )  # fmt: skip
    found = {name: figure(case, reading) for name, figure in FIGURES.items()}
    assert found["relevance.trace_sentences"].state == found["utilization.chunks"].state == "abstained"
    assert (found["groundedness.claims"].value, found["completeness.intents_sq"].value) == (0.0, 0.0)
    assert "(none were retrieved)" in str(messages(case)[1].content)


def test_documents_come_as_texts_or_as_dicts() -> None:
    case = case_of("q", [{"id": 1, "content": "One. Two."}, "Three."], "Yes.")
    assert list(case.sentences) == ["1.1", "1.2", "2.1"]
    assert list(case_of("q", "One text.", "Yes.").sentences) == ["1.1"]
    for documents in (3, [3], [{"id": 1}]):
        with pytest.raises(DataError):
            case_of("q", documents, "a")


@pytest.mark.parametrize("options", [{}, {"connection": "fake", "votes": 3}, {"connection": ""}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"votes|connection"):
        load(FakeModels(), **options)


def test_the_version_follows_model_and_asking() -> None:
    versions = {
        load(FakeModels(), connection="fake", **more).version
        for more in ({}, {"model": "m"}, {"temperature": 1.0}, {"timeout": 5.0})
    }
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It needs 2.5 bar. Dr. Weiss made it.", ["It needs 2.5 bar.", "Dr. Weiss made it."]),
        ("Opens at 9 a.m. on weekdays. Closed else.", ["Opens at 9 a.m. on weekdays.", "Closed else."]),
        ("It is so. [1] And so [2]. Yes.", ["It is so. [1]", "And so [2].", "Yes."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("- one\n- two\n\nthree", ["- one", "- two", "three"]),
        ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
        ("See e.g. Figure 2. It was 4. Good.", ["See e.g. Figure 2.", "It was 4.", "Good."]),
        ("一。二。", ["一。", "二。"]),
        ("  \n ", []),
        ("no end", ["no end"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=200))
def test_sentences_lose_no_word(text: str) -> None:
    joined = "".join("".join(part.split()) for part in sentences(text))
    assert [char for char in joined if char.isalnum()] == [char for char in text if char.isalnum()]


def test_citations() -> None:
    assert citations("So [1], and so [2, 3]. Not [a] or 4.") == (1, 2, 3)
