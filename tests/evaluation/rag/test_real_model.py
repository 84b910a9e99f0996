"""The one call of RAG quality, and a judge's, really made: a tiny model is a bad judge, but every row has a state."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluationRow, EvaluatorSpec
from pilothouse.models import local_models
from pilothouse.models.service import ModelService
from pilothouse.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "local.yaml").write_text(
        f"name: local\ntype: local\nmodel: {local_models.DEFAULT}\n", encoding="utf-8"
    )
    made = Workspace(tmp_path)
    local_models.pull(local_models.DEFAULT, made.get(ModelService).context.cache)
    yield made
    made.close()


@pytest.mark.local_model
def test_a_real_model_gives_every_row_a_state(workspace: Workspace) -> None:
    service = workspace.get(EvaluationService)
    rag = service.load(
        EvaluatorSpec(name="rag", source="rag", options={"connection": "local", "max_tokens": 300, "timeout": 240.0})
    )
    polite = service.load(
        EvaluatorSpec(
            name="polite",
            source="judge",
            options={"connection": "local", "question": "Is the answer polite?", "max_tokens": 120, "timeout": 240.0},
        )
    )
    arguments: dict[str, dict[str, Any]] = {
        "rag": {
            "question": "When does the museum open?",
            "documents": ["The museum opens at 9. It is old."],
            "answer": "It opens at 9.",
        },
        "polite": {"answer": "Thank you, you are most welcome."},
    }

    async def go() -> Any:
        try:
            return await service.evaluate([EvaluationRow(id="a", arguments=arguments)], [rag, polite])
        finally:
            await workspace.get(ModelService).aclose()

    (row,) = asyncio.run(go()).rows
    by_evaluator = {name: [score for score in row.scores if score.evaluator == name] for name in ("rag", "polite")}
    # Nothing failed on the way: the model answered, and the answer was read, or could not be.
    for scores in by_evaluator.values():
        assert scores
        assert all(score.state in {"ok", "abstained", "unparsable"} for score in scores)
        assert all(score.evidence for score in scores)
