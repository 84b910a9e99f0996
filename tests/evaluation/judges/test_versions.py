"""What a judge's version rests on, and judges that do not answer or contradict themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.judges.test_judges import answer, judged, load, said
from tests.flows.building import FakeModels

from pilothouse.evaluation.evaluators.flow import flow_opener
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.flows.settings import FlowSettings


def version(source: str, *names: str) -> str:
    models = FakeModels()
    service = EvaluationService(root=Path(), open_flow=flow_opener(None, FlowSettings()), models=models)  # type: ignore[arg-type]
    options = {"connection": "fake"} | ({} if source == "rag" else {"question": "Is it so?"})
    evaluator = service.load(EvaluatorSpec(name="j", source=source, options=options))
    if not names:
        return evaluator.version
    again = service.load(EvaluatorSpec(name="j", source=source, options=options), names).version
    # An experiment tells the names after it has read what the evaluator takes.
    assert service.shown(evaluator, names).version == again
    return again


def test_the_version_follows_the_names_under_which_a_row_is_shown() -> None:
    found = [
        version("judge"), version("judge", "answer"), version("judge", "reply"), version("judge", "answer", "context"),
    ]  # fmt: skip
    assert len(set(found)) == 4
    # A record of an experiment keeps its mapping sorted.
    assert version("judge", "context", "answer") == found[3]


def test_of_a_comparison_what_is_shown_beside_the_answers_counts() -> None:
    plain = version("pairwise", "candidate", "baseline")
    assert plain == version("pairwise", "baseline", "candidate")
    assert plain != version("pairwise", "question", "candidate", "baseline")


def test_the_words_of_rag_are_its_own() -> None:
    assert version("rag") == version("rag", "question", "documents", "answer")


def test_a_judge_that_does_not_answer_in_time_is_an_error() -> None:
    models = FakeModels()

    class Silent:
        provider = "fake"

        async def chat(self, request: Any) -> Any:
            await asyncio.Event().wait()

    models.client = lambda name: Silent()  # type: ignore[assignment,method-assign,return-value]
    judge = load("judge", models, question="q", connection="fake", timeout=0.01)
    (score,) = judged(judge, {"answer": "a"}).rows[0].scores
    assert score.state == "error"
    assert "no answer within 0.01 s" in str(score.error)


@pytest.mark.parametrize(("votes", "state"), [(["yes", "no"], "abstained"), (["yes", "no", "no"], "ok")])
def test_a_judge_that_contradicts_itself_when_asked_again(votes: list[str], state: str) -> None:
    judge = load(
        "judge", FakeModels(lambda request: answer(said(votes[request.seed]))), question="q", connection="fake",
        votes=len(votes),
    )  # fmt: skip
    (score,) = judged(judge, {"answer": "a"}).rows[0].scores
    assert score.state == state
    assert [reply["verdict"] for reply in score.evidence["answers"]] == [vote == "yes" for vote in votes]


def test_a_judge_that_says_both_in_one_answer_says_neither() -> None:
    judge = load(
        "judge", FakeModels(lambda _: answer('{"reason": "so", "verdict": "yes", "verdict": "no"}')), question="q",
        connection="fake",
    )  # fmt: skip
    assert judged(judge, {"answer": "a"}).rows[0].scores[0].state == "unparsable"
