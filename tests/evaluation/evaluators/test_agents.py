"""Steps of agents, forbidden tools, cost and embeddings, as an evaluation runs them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.evaluators.test_metrics import figures, judge, load, scores
from tests.flows.building import FakeModels

from pilothouse.core.errors import ConfigError, ConnectionFault, ModelError
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.models.types import EmbeddingResponse


def test_steps_are_compared_by_name_and_order() -> None:
    wanted = ["plan", "search", "answer"]
    found = scores(load("steps"), steps=[{"agent": "plan"}, {"node": "search"}, "search", "answer"], expected=wanted)
    told = {name.removeprefix("steps_"): score.value for name, score in found.items()}
    assert told == {
        "exact": False, "in_order": True, "any_order": True, "no_extra": False,
        "precision": 0.75, "recall": 1.0, "f1": pytest.approx(6 / 7),
    }  # fmt: skip
    assert found["steps_f1"].evidence == {"made": ["plan", "search", "search", "answer"], "expected": wanted}


@pytest.mark.parametrize(
    ("steps", "state"), [(None, "ok"), ([], "ok"), ("plan", "unparsable"), ([3], "unparsable"), ([{}], "unparsable")]
)
def test_steps_that_cannot_be_read_are_a_state(steps: Any, state: str) -> None:
    assert scores(load("steps"), steps=steps, expected=["plan"])["steps_exact"].state == state
    assert scores(load("steps"), steps=["plan"], expected="plan")["steps"].state == "error"


def test_a_forbidden_tool_is_counted() -> None:
    evaluator = load("tool_calls", forbidden=["delete"], tolerance=0.01)
    rows: list[Any] = [
        {"calls": [{"name": "find", "arguments": {"x": 1.001}}], "expected": [{"name": "find", "arguments": {"x": 1}}]},
        {"calls": ["find", "delete"], "expected": ["find"]},
        {"calls": None, "expected": []},
    ]
    found = figures(judge(evaluator, rows))
    assert found["tools_allowed"].value == pytest.approx(2 / 3)
    assert found["tools_exact"].value == pytest.approx(2 / 3)
    assert "tools_allowed" not in figures(judge(load("tool_calls"), rows))


def test_that_nothing_should_be_called_is_a_case_of_its_own() -> None:
    nothing, something = (scores(load("tool_calls"), calls=calls, expected=[]) for calls in ([], ["find"]))
    assert [nothing[f"tools_{name}"].value for name in ("exact", "no_extra", "f1")] == [True, True, 1.0]
    assert [something[f"tools_{name}"].value for name in ("exact", "no_extra", "f1")] == [False, False, 0.0]
    assert nothing["tools_recall"].state == "abstained"


@pytest.mark.parametrize("options", [{"tolerance": -1}, {"tolerance": True}, {"tolerance": "x"}, {"forbidden": "x"}])
def test_options_of_tool_calls_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load("tool_calls", **options)


def test_cost_that_is_not_known_is_not_zero() -> None:
    found = figures(judge(load("cost"), [{"cost": 0.5}, {"cost": 0.25}, {"cost": None}]))["cost"]
    assert (found.value, found.n, found.excluded) == (0.375, 2, {"abstained": 1})


# Embeddings of a connection

VECTORS = {"same": (1.0, 0.0), "near": (3.0, 4.0), "other": (0.0, 2.0)}


class Embedding:
    """A connection whose vectors are known; it counts what is asked at once."""

    provider = "fake"

    def __init__(self) -> None:
        self.running = 0
        self.most = 0

    async def embed(self, request: Any) -> EmbeddingResponse:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if "broken" in request.inputs:
            raise ModelError("no embeddings today", status=500)
        wanted = request.inputs[:1] if "short" in request.inputs else request.inputs
        return EmbeddingResponse(vectors=tuple(VECTORS.get(text, (1.0, 0.0)) for text in wanted))


def embedding(client: Embedding, **options: Any) -> Evaluator:
    models = FakeModels()
    models.places = 1
    models.client = lambda name: client  # type: ignore[assignment,method-assign,return-value]
    spec = EvaluatorSpec(name="e", source="embedding_similarity", options={"connection": "fake", **options})
    return load_evaluator(spec, Path(), None, models)  # type: ignore[arg-type]


def test_the_cosine_of_whole_texts_by_a_connection() -> None:
    client = Embedding()
    rows: list[Any] = [
        {"prediction": "same", "truth": "near"},
        {"prediction": "same", "truth": ["other", "near", "same"]},
        {"prediction": None, "truth": "same"},
        {"prediction": "broken", "truth": "same"},
        {"prediction": "short", "truth": "same"},
    ]
    result = judge(embedding(client, model="m"), rows)
    found = [row.scores[0] for row in result.rows]
    assert [score.value for score in found] == [pytest.approx(0.6), pytest.approx(1.0), 0.0, None, None]
    assert [score.state for score in found[3:]] == ["error", "error"]
    assert found[0].evidence["vectors"] == "fake/m"
    assert "blind to negation" in found[0].evidence["warning"]
    assert client.most == 1  # as many as the connection serves


def test_the_version_of_embeddings_follows_the_model() -> None:
    assert embedding(Embedding(), model="a").version != embedding(Embedding(), model="b").version


def test_the_cosine_is_that_of_the_formula() -> None:
    random = np.random.default_rng(2)
    for number in range(320):
        VECTORS[f"a{number}"], VECTORS[f"b{number}"] = (tuple(random.normal(size=5)) for _ in range(2))
    rows: list[Any] = [{"prediction": f"a{number}", "truth": f"b{number}"} for number in range(320)]
    for number, row in enumerate(judge(embedding(Embedding()), rows).rows):
        one, other = np.array(VECTORS[f"a{number}"]), np.array(VECTORS[f"b{number}"])
        wanted = one @ other / np.sqrt((one @ one) * (other @ other))
        assert row.scores[0].value == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("options", [{"connection": "gone"}, {"modle": "x"}, {"connection": "", "encoder": "nowhere"}])
def test_embeddings_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    models = FakeModels()
    spec = EvaluatorSpec(name="e", source="embedding_similarity", options={"connection": "fake", **options})
    with pytest.raises((ConfigError, ConnectionFault)):
        load_evaluator(spec, Path(), None, models)  # type: ignore[arg-type]
