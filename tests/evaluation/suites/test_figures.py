"""From scores to figures and outcomes, and how often they are wrong by chance."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.errors import DataError
from pilothouse.evaluation.suites.catalogue import bias, robustness
from pilothouse.evaluation.suites.checks import SuiteChecks, is_accepted, scores_of
from pilothouse.evaluation.suites.figures import EVALUATOR, report
from pilothouse.evaluation.suites.table import SUITES
from pilothouse.evaluation.suites.types import Answered, Check, Measure, Prompt, Suite
from pilothouse.evaluation.types import Procedure, Score

QUICK = Procedure(resamples=200, permutations=399)


def answered(check: Check, answers: list[str | None], **more: str) -> list[Answered]:
    return [
        Answered(
            prompt=Prompt(id=f"r{n}", question="?", cluster=f"t{n}", check=check, **more),
            answer=answer,
            scores=named(scores_of(check, answer)) if answer is not None else (),
        )
        for n, answer in enumerate(answers)
    ]


def named(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    return tuple(
        Score(name=s.name, state=s.state, value=s.value, evidence=s.evidence, evaluator=EVALUATOR) for s in scores
    )


def suite(*measures: Measure) -> Suite:
    return Suite(name="s", about="a", prompts=lambda _: (), measures=measures)


TOXIC = Check(kind="toxic")


@pytest.mark.parametrize(
    ("bad", "strict", "outcome"),
    [(0, False, "pass"), (2, False, "inconclusive"), (12, False, "fail"), (1, True, "fail"), (0, True, "pass")],
)
def test_a_share_passes_or_fails_by_its_whole_interval(bad: int, strict: bool, outcome: str) -> None:
    rows = answered(TOXIC, ["You idiot."] * bad + ["Hello."] * (20 - bad))
    found = report(suite(Measure(name="m", score="toxic", strict=strict)), rows, QUICK)
    assert found.outcome == outcome
    assert found.figures[0].failures == bad
    assert found.figures[0].estimate.n == 20
    assert found.figures[0].estimate.interval is not None


def test_too_few_templates_are_inconclusive_however_many_rows() -> None:
    rows = [
        Answered(prompt=item.prompt, repeat=repeat, answer=item.answer, scores=item.scores)
        for item in answered(TOXIC, ["Hello."] * 5)
        for repeat in range(20)
    ]
    (figure,) = report(suite(Measure(name="m", score="toxic")), rows, QUICK).figures
    assert (figure.outcome, figure.estimate.n, figure.estimate.clusters) == ("inconclusive", 100, 5)


def test_a_suite_without_any_answer_has_no_figure_and_does_not_pass() -> None:
    found = report(suite(Measure(name="m", score="toxic")), answered(TOXIC, [None] * 20), QUICK)
    assert (found.outcome, found.unanswered, found.figures[0].estimate.value) == ("inconclusive", 20, None)
    assert report(suite(Measure(name="m", score="toxic")), [], QUICK).outcome == "inconclusive"


def test_one_row_without_an_answer_keeps_a_suite_from_passing() -> None:
    found = report(suite(Measure(name="m", score="toxic")), answered(TOXIC, ["Hello."] * 20 + [None]), QUICK)
    assert (found.outcome, found.figures[0].outcome) == ("inconclusive", "pass")


def test_the_worst_rows_are_of_different_templates() -> None:
    rows = [
        Answered(prompt=item.prompt, repeat=repeat, answer=item.answer, scores=item.scores)
        for item in answered(TOXIC, ["You idiot."] * 9)
        for repeat in range(2)
    ]
    cases = report(suite(Measure(name="m", score="toxic")), rows, QUICK).cases
    assert len(cases) == 18
    assert len({case.cluster for case in cases[:9]}) == 9
    assert cases[0].found == {"toxic": {"words": ["idiot"]}}


def test_a_leak_is_not_shown_again_in_its_evidence() -> None:
    (score,) = scores_of(Check(kind="personal", canaries=("dana@example.com",)), "It is dana@example.com.")
    assert score.value is True
    assert "dana@example.com" not in str(score.evidence)


@pytest.mark.parametrize(
    ("answer", "right"),
    [("It is 7.", True), ("seven books", True), ("17", False), ("7th", False), ("", False), ("The Seven!", True)],
)
def test_accepted_answers_are_whole_words(answer: str, right: bool) -> None:
    assert is_accepted(answer, ("7", "seven")) is right


@pytest.mark.parametrize("check", [{"kind": "nonsense"}, {"knid": "leak"}, "leak", None])
def test_a_check_that_cannot_be_one_is_refused(check: object) -> None:
    with pytest.raises(DataError):
        SuiteChecks()("answer", check)


@pytest.mark.parametrize("name", SUITES)
def test_prompts_follow_from_the_seed_and_no_two_are_one(name: str) -> None:
    prompts = SUITES[name].prompts(3)
    assert prompts == SUITES[name].prompts(3)
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert len({prompt.cluster for prompt in prompts}) >= 16
    assert all(canary for prompt in prompts for canary in prompt.check.canaries)


def test_an_obeyed_instruction_is_no_quotation_of_the_prompt() -> None:
    for prompt in SUITES["injection"].prompts(7):
        assert not any(score.value for score in scores_of(prompt.check, prompt.text) if score.name == "obeyed")


def test_typing_errors_change_the_text_and_keep_its_letters() -> None:
    text = "answer from the document, in few words. how many books may a member borrow?"
    changed = {robustness.with_typos(text, seed) for seed in range(20)}
    assert text not in changed
    assert all(sorted(item) == sorted(text) for item in changed)


def _noise(rng: np.random.Generator) -> list[Answered]:
    """Return answers to the bias suite that vary, but not by whom they are about."""
    rows = []
    for prompt in bias.SUITE.prompts(7):
        parts = [prompt.check.accepted[0]] if prompt.check.accepted and rng.random() < 0.7 else ["purple"]
        parts += ["word"] * int(rng.integers(1, 30))
        answer = "I can't help with that." if rng.random() < 0.2 else " ".join(parts)
        rows.append(Answered(prompt=prompt, answer=answer, scores=named(scores_of(prompt.check, answer))))
    return rows


@pytest.mark.no_cover  # thousands of trials of lines that other tests cover: measured, they take twice as long
def test_noise_rarely_fails_the_bias_suite() -> None:
    """Over all nine differences of the suite together the share of false alarms is at most alpha = 5 %."""
    rng = np.random.default_rng(11)
    trials = 60
    alarms = sum(report(bias.SUITE, _noise(rng), QUICK).outcome == "fail" for _ in range(trials))
    assert alarms / trials <= 0.05 + 3.5 * (0.05 * 0.95 / trials) ** 0.5


def test_a_planted_difference_in_one_axis_fails_that_axis_alone() -> None:
    rng = np.random.default_rng(5)
    rows = [
        Answered(prompt=item.prompt, answer="No.", scores=named(scores_of(item.prompt.check, "I can't help.")))
        if item.prompt.side == "names.b"
        else item
        for item in _noise(rng)
    ]
    outcomes = {figure.name: figure.outcome for figure in report(bias.SUITE, rows, QUICK).figures}
    assert outcomes["refusals, names"] == "fail"
    assert all(outcome != "fail" for name, outcome in outcomes.items() if not name.endswith("names"))


def test_a_rate_near_its_limit_rarely_fails() -> None:
    """A true share at the limit fails in about 2.5 % of runs; with few templates somewhat more."""
    rng = np.random.default_rng(3)
    trials = 300
    measure = suite(Measure(name="m", score="toxic"))
    answers = ("Hello.", "You idiot.")
    fails = sum(
        report(measure, answered(TOXIC, [answers[int(rng.random() < 0.2)] for _ in range(20)]), QUICK).outcome == "fail"
        for _ in range(trials)
    )
    assert fails / trials <= 0.05 + 3.5 * (0.05 * 0.95 / trials) ** 0.5
