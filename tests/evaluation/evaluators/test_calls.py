from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.evaluators.calls import CallableEvaluator
from pilothouse.evaluation.evaluators.evaluator import Judged
from pilothouse.evaluation.types import LabelPair, Metric, Score


def judge(target: Callable[..., Any], **arguments: Any) -> Score:
    async def run() -> Judged:
        return await asyncio.wait_for(CallableEvaluator("mine", target, "v1").judge(arguments, 0), 20)

    (score,) = asyncio.run(run()).scores
    return score


def test_function_class_and_coroutines() -> None:
    class Longer:
        def __init__(self, least: int) -> None:
            self.least = least

        def __call__(self, *, answer: str) -> bool:
            return len(answer) > self.least

    class Slow:
        async def __call__(self, answer: str) -> float:
            await asyncio.sleep(0)
            return len(answer)

    async def later(answer: str) -> bool:
        return bool(answer)

    def promise(answer: str) -> Any:
        return later(answer)

    assert judge(lambda answer: answer == "x", answer="x").value is True
    assert judge(Longer(3), answer="word").value is True
    assert judge(Slow(), answer="word").value == 4.0
    assert judge(later, answer="").value is False
    assert judge(promise, answer="y").value is True


def test_synchronous_code_runs_in_a_thread_unless_it_is_light() -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert judge(where).value is False
    where.inline = True  # type: ignore[attr-defined]
    assert judge(where).value is True


def test_slow_calls_wait_beside_each_other() -> None:
    together = threading.Barrier(40, timeout=20)  # breaks unless forty calls are under way at once

    def meet(x: int) -> bool:
        together.wait()
        return True

    async def run() -> list[Judged]:
        async with CallableEvaluator("mine", meet, "v1") as evaluator:
            return list(await asyncio.gather(*(evaluator.judge({"x": i}, i) for i in range(40))))

    assert {judged.scores[0].state for judged in asyncio.run(run())} == {"ok"}


def test_a_call_that_hangs_does_not_keep_the_caller() -> None:
    go_on = threading.Event()

    def hang() -> bool:
        return go_on.wait(60)

    async def run() -> None:
        async with CallableEvaluator("mine", hang, "v1") as evaluator:
            await asyncio.wait_for(evaluator.judge({}, 0), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    go_on.set()


def raising(error: BaseException) -> Callable[[], None]:
    def evaluator() -> None:
        raise error

    return evaluator


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("x"), StopIteration(), SystemExit(3), ZeroDivisionError(), RecursionError()]
)
@pytest.mark.parametrize("inline", [True, False])
def test_whatever_is_raised_is_a_state(error: BaseException, inline: bool) -> None:
    target = raising(error)
    target.inline = inline  # type: ignore[attr-defined]
    score = judge(target)
    assert (score.state, score.value) == ("error", None)
    assert score.error is not None
    assert score.error.type == type(error).__name__
    assert "raise error" in str(score.error.traceback)
    assert "src/pilothouse" not in str(score.error.traceback)


def test_an_async_failure_is_a_state() -> None:
    async def evaluator() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    score = judge(evaluator)
    assert (score.state, score.error.message if score.error else "") == ("error", "later")


def test_an_error_of_our_tree_keeps_its_words_without_frames() -> None:
    score = judge(raising(DataError("no truth", fix="add it")))
    assert score.error is not None
    assert (score.error.type, score.error.traceback) == ("DataError", None)
    assert "to mend:  add it" in score.error.message


def test_a_missing_argument_is_a_state() -> None:
    assert judge(lambda answer: True).state == "error"


def test_cancellation_is_not_swallowed() -> None:
    async def endless() -> None:
        await asyncio.sleep(3600)

    async def run() -> None:
        task = asyncio.create_task(CallableEvaluator("mine", endless, "v1").judge({}, 0))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_parameters() -> None:
    def evaluator(answer: str, truth: str, *, strict: bool = False) -> bool:
        return strict

    parameters = CallableEvaluator("mine", evaluator, "v1").parameters
    parameters.check(["answer", "truth"], "mine")
    parameters.check(["answer", "truth", "strict"], "mine")
    with pytest.raises(ConfigError, match="no argument 'anwser'; did you mean 'answer'") as caught:
        parameters.check(["anwser", "truth"], "mine", "experiment.yaml:7")
    assert caught.value.where == "experiment.yaml:7"
    with pytest.raises(ConfigError, match="needs the argument 'truth'"):
        parameters.check(["answer"], "mine")
    CallableEvaluator("mine", lambda **anything: True, "v1").parameters.check(["whatever"], "mine")


def test_a_parameter_by_position_is_refused() -> None:
    def evaluator(answer: str, /) -> bool:
        return bool(answer)

    with pytest.raises(ConfigError, match="by position only"):
        CallableEvaluator("mine", evaluator, "v1")


class Counting:
    metrics = (Metric(name="p90", kind="quantile", quantile=0.9),)

    def __call__(self, answer: str) -> int:
        return int(answer)

    def __aggregate__(self, results: list[int]) -> dict[str, float]:
        return {"total": sum(results), "bad": float("nan"), "worse": "text"}  # type: ignore[dict-item]

    def on_failure(self, arguments: dict[str, Any]) -> LabelPair:
        return LabelPair(truth=arguments["truth"], prediction=None)


def test_aggregation_and_hooks() -> None:
    evaluator = CallableEvaluator("mine", Counting(), "v1")
    assert evaluator.metrics == Counting.metrics

    async def run() -> tuple[dict[str, float], dict[str, str]]:
        judged = [await evaluator.judge({"answer": text}, i) for i, text in enumerate(("3", "x", "4"))]
        found = await evaluator.aggregate(judged)
        return found.figures, found.faults

    figures, faults = asyncio.run(run())
    assert figures == {"total": 7.0}
    assert set(faults) == {"bad", "worse"}
    assert evaluator.unanswered({"truth": "a"}).labels == LabelPair(truth="a", prediction=None)
    assert evaluator.unanswered({}).labels is None  # the hook itself fails: the label is not known


@pytest.mark.parametrize(
    ("returned", "said"), [(ValueError("boom"), "__aggregate__ raised ValueError"), (3, "int; expected")]
)
def test_a_failing_aggregation_is_said(returned: Any, said: str) -> None:
    class Failing:
        def __call__(self) -> bool:
            return True

        async def __aggregate__(self, results: list[bool]) -> Any:
            if isinstance(returned, Exception):
                raise returned
            return returned

    found = asyncio.run(CallableEvaluator("mine", Failing(), "v1").aggregate([]))
    assert found.figures == {}
    assert said in found.faults["mine"]
