from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from pilothouse.core.errors import ConfigError, NotFound, StorageError
from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.evaluators.builtin.basics import Classification
from pilothouse.evaluation.evaluators.calls import CallableEvaluator
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluationResult, EvaluationRow, EvaluatorSpec, ScoredRow
from pilothouse.flows.results import ErrorInfo

DOWN = ErrorInfo(type="ModelError", message="timed out", node="answer")


def service(root: Path = Path()) -> EvaluationService:
    def no_flows(path: Path, options: Any) -> Any:
        raise AssertionError(path)

    return EvaluationService(root=root, open_flow=no_flows)


def evaluator(name: str, target: Callable[..., Any]) -> CallableEvaluator:
    return CallableEvaluator(name, target, "v1")


def rows(n: int) -> Iterator[EvaluationRow]:
    for i in range(n):
        yield EvaluationRow(id=f"r{i}", arguments={"even": {"x": i}, "size": {"x": i}}, cluster=f"c{i // 2}")


def evaluate(data: Any, evaluators: list[CallableEvaluator], **options: Any) -> EvaluationResult:
    return asyncio.run(service().evaluate(data, evaluators, **options))


async def even(x: int) -> bool:
    await asyncio.sleep(0.001 * (x % 3))  # rows end in another order than they began
    return x % 2 == 0


def test_rows_keep_their_order_and_all_scores() -> None:
    done: list[str] = []
    found = evaluate(
        rows(30), [evaluator("even", even), evaluator("size", lambda x: x)], on_row=lambda row: done.append(row.id)
    )
    assert [row.id for row in found.rows] == [f"r{i}" for i in range(30)]
    assert sorted(done) == sorted(row.id for row in found.rows)
    assert found.rows[3].cluster == "c1"
    assert [(s.name, s.evaluator, s.evaluator_version, s.value) for s in found.rows[3].scores] == [
        ("even", "even", "v1", False),
        ("size", "size", "v1", 3.0),
    ]
    assert [(metric.name, metric.kind) for metric in found.metrics] == [("even", "rate"), ("size", "mean")]
    assert found.versions == {"even": "v1", "size": "v1"}


def test_no_rows() -> None:
    found = evaluate([], [evaluator("even", even)])
    assert (found.rows, found.metrics) == ((), ())


def test_a_result_survives_the_journey_through_json() -> None:
    found = evaluate(rows(4), [evaluator("even", even), evaluator("label", Classification())])
    assert msgspec.json.decode(msgspec.json.encode(found), type=EvaluationResult) == found


def test_rows_in_flight_are_bounded_and_read_as_needed() -> None:
    read = 0
    running: set[int] = set()
    most = 0

    def source() -> Iterator[EvaluationRow]:
        nonlocal read
        for row in rows(50):
            read += 1
            yield row

    async def watch(x: int) -> bool:
        nonlocal most
        running.add(x)
        most = max(most, len(running))
        assert read - x <= 6  # nothing is read far ahead of the work
        await asyncio.sleep(0)
        running.discard(x)
        return True

    found = evaluate(source(), [evaluator("even", watch)], concurrency=5)
    assert {score.state for row in found.rows for score in row.scores} == {"ok"}
    assert most == 5


def test_a_failed_row_is_not_judged_but_keeps_its_true_label() -> None:
    calls: list[int] = []
    data = [
        EvaluationRow(id="1", arguments={"label": {"prediction": "a", "truth": "a"}, "size": {"x": 1}}),
        EvaluationRow(id="2", arguments={"label": {"truth": "b"}}, failure=DOWN),
    ]

    def size(x: int) -> bool:
        calls.append(x)
        return True

    found = evaluate(data, [evaluator("label", Classification()), evaluator("size", size)])
    label, other = found.rows[1].scores
    assert calls == [1]
    assert label.failed_upstream
    assert label.labels is not None
    assert (label.labels.truth, label.labels.prediction) == ("b", None)
    assert other.failed_upstream
    assert other.error is not None
    assert (other.error.message, other.error.node) == ("ModelError: timed out", "answer")
    accuracy, rate = (next(m for m in found.metrics if m.name == name) for name in ("accuracy", "size"))
    for metric in (accuracy, rate):
        figure = estimate(metric, found.rows)
        assert (figure.value, figure.n, figure.counted, figure.complete) == (0.5, 2, {"failed": 1}, 1.0)


class Total:
    def __init__(self, name: str = "total") -> None:
        self.name = name

    async def __call__(self, x: int) -> int:
        await asyncio.sleep(0.001 * (x % 3))
        if x == 3:
            raise ValueError("three")
        return x

    def __aggregate__(self, results: list[int]) -> dict[str, float]:
        return {self.name: float(sum(results)), "first": float(results[0]), "last": float(results[-1])}


def test_aggregation_sees_completed_rows_in_order() -> None:
    data = [*rows(8), EvaluationRow(id="down", failure=DOWN)]
    found = evaluate(data, [evaluator("size", Total())])
    figures = {item.name: item for item in found.aggregates}
    assert [figures[name].value for name in ("total", "first", "last")] == [25.0, 0.0, 7.0]
    assert (figures["total"].n, figures["total"].excluded) == (7, {"error": 1, "failed": 1})
    assert figures["total"].interval is None
    assert "no interval" in str(figures["total"].note)


def test_aggregation_over_no_row_is_not_called() -> None:
    (figure,) = evaluate([EvaluationRow(id="down", failure=DOWN)], [evaluator("size", Total())]).aggregates
    assert (figure.value, figure.note) == (None, "no row to aggregate")


def test_names_of_aggregates_are_told_apart() -> None:
    found = evaluate(rows(2), [evaluator("size", Total("even")), evaluator("even", Total("size"))])
    names = [item.name for item in found.aggregates]
    assert names == ["size.even", "size.first", "size.last", "even.size", "even.first", "even.last"]


def test_two_evaluators_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two evaluators are named 'even'"):
        evaluate([], [evaluator("even", even), evaluator("even", even)])


def test_what_the_caller_raises_comes_back_as_it_was() -> None:
    def full(row: ScoredRow) -> None:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        evaluate(rows(5), [evaluator("even", even)], on_row=full)


def test_rows_scored_one_by_one_give_the_same_result() -> None:
    async def run() -> EvaluationResult:
        async with service().session([evaluator("even", even)]) as session:
            data = list(enumerate(rows(6)))
            for number, row in reversed(data):
                await session.score(row, number)
            return await session.finish()

    assert asyncio.run(run()) == evaluate(rows(6), [evaluator("even", even)])


def test_an_evaluator_that_cannot_open_closes_the_others() -> None:
    seen: list[str] = []

    class Opening(CallableEvaluator):
        async def __aenter__(self) -> Self:
            seen.append(f"open {self.name}")
            if self.name == "bad":
                raise ConfigError("no connection")
            return self

        async def __aexit__(self, *exception: object) -> None:
            seen.append(f"close {self.name}")

    pair = [Opening(name, even, "v1") for name in ("good", "bad")]
    with pytest.raises(ConfigError, match="no connection"):
        evaluate(rows(2), pair)  # type: ignore[arg-type]
    assert seen == ["open good", "open bad", "close good"]


def test_loading_checks_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text("def short(answer): return len(answer) < 3\n")
    spec = EvaluatorSpec(name="mine", source="judge.py:short", where="experiment.yaml:4")
    assert service(tmp_path).load(spec, ["answer"]).name == "mine"
    with pytest.raises(ConfigError, match="no argument 'answr'; did you mean 'answer'"):
        service(tmp_path).load(spec, ["answr"])


def test_a_declared_metric_is_kept_when_every_row_failed() -> None:
    found = evaluate([EvaluationRow(id="1", failure=DOWN)], [evaluator("label", Classification())])
    assert "macro_f1" in {metric.name for metric in found.metrics}
    accuracy, macro = (estimate(m, found.rows) for m in found.metrics[:2])
    assert (accuracy.value, accuracy.counted) == (0.0, {"failed": 1})
    # The row does not say its true label: it is wrong, but in no class that is known.
    assert (macro.value, macro.excluded) == (None, {"failed": 1})


def test_a_project_has_one(services: Any) -> None:
    built = services.get(EvaluationService)
    assert built is services.get(EvaluationService)
    with pytest.raises(NotFound, match="no evaluator 'nothing'"):
        built.load(EvaluatorSpec(name="mine", source="nothing"))


@pytest.mark.parametrize("vendor", ["numpy", "sqlalchemy", "duckdb", "jinja2"])
def test_scoring_and_nouns_wake_no_heavy_vendor(vendor: str) -> None:
    modules = "pilothouse.evaluation.service, pilothouse.evaluation.evaluators.builtin"
    code = f"import sys, {modules}; print('{vendor}' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
