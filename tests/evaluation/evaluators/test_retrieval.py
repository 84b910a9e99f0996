"""What the retrieval evaluator takes for relevant documents."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.core.errors import DataError
from pilothouse.evaluation.evaluators.builtin.retrieval import Retrieval


def values(retrieved: Any, relevant: Any) -> dict[str, Any]:
    return {score.name: score.value for score in Retrieval(k=[1, 3])(retrieved, relevant)}


@pytest.mark.parametrize("relevant", ["b", ["b"], {"b": 1.0}, [{"id": "b"}]])
def test_one_relevant_document_however_it_is_written(relevant: Any) -> None:
    found = values(["a", "b", "c"], relevant)

    assert (found["hit@1"], found["hit@3"], found["mrr"]) == (False, True, 0.5)


@pytest.mark.parametrize("relevant", [None, 3.5, "", True])
def test_what_names_no_document(relevant: Any) -> None:
    with pytest.raises(DataError, match="relevant documents"):
        values(["a"], relevant)


def test_the_retrieved_ones_are_a_list() -> None:
    with pytest.raises(DataError, match="retrieved documents"):
        values("a", "a")
