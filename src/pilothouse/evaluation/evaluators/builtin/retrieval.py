"""Evaluators of search: a ranked list of documents against those that are relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.metrics import ranking
from pilothouse.evaluation.types import Metric, Score

_IDENTIFIERS = ("id", "document_id", "doc_id", "key")


class Retrieval:
    """Precision, recall, hit rate and nDCG at each cut-off, MRR and MAP; means over the rows, 0 to 1.

    A row without a relevant document has no recall, nDCG or average precision: those abstain, and are counted.
    Documents that nobody judged are holes: they count as not relevant, and are part of the evidence.

    Args:
        k: Cut-offs, in rising order.
    """

    inline = True

    def __init__(self, *, k: Sequence[int] = (1, 3, 5, 10)) -> None:
        if isinstance(k, str) or not k or not all(isinstance(cut, int) and cut > 0 for cut in k):
            raise ConfigError(f"the cut-offs of a retrieval are {k!r}", expected="a list of whole numbers above 0")
        self._cuts = tuple(k)
        names = [f"{name}@{cut}" for name in ("precision", "recall", "hit", "ndcg") for cut in self._cuts]
        self.metrics = tuple(
            Metric(
                name=name,
                score=name,
                kind="rate" if name.startswith("hit") else "mean",
                worst=0.0,
                bounds=(0.0, 1.0),
            )
            for name in [*names, "mrr", "map"]
        )

    def __call__(self, retrieved: Any, relevant: Any) -> list[Score]:
        """Judge one row.

        Args:
            retrieved: Documents, best first: their ids, or dicts with an ``id``.
            relevant: The id of the relevant document, a list of ids, or id -> gain.
        """
        found, gains = _ids(retrieved), _gains(relevant)
        deepest = self._cuts[-1]
        holes = [item for item in found[:deepest] if item not in gains] if isinstance(relevant, Mapping) else None
        evidence = {"retrieved": found[:deepest], **({"holes": holes} if holes is not None else {})}
        values: dict[str, float | bool | None] = {}
        for cut in self._cuts:
            values[f"precision@{cut}"] = ranking.precision(found, gains, cut)
            values[f"recall@{cut}"] = ranking.recall(found, gains, cut)
            values[f"hit@{cut}"] = ranking.hit(found, gains, cut) if any(gains.values()) else None
            values[f"ndcg@{cut}"] = ranking.ndcg(found, gains, cut)
        values["mrr"] = ranking.reciprocal_rank(found, gains) if any(gains.values()) else None
        values["map"] = ranking.average_precision(found, gains)
        return [
            Score(name=metric.name, value=value, evidence=evidence)
            if (value := values[metric.name]) is not None
            else Score(name=metric.name, state="abstained", evidence="no document is relevant")
            for metric in self.metrics
        ]


def _ids(retrieved: Any) -> list[str]:
    if not isinstance(retrieved, list | tuple):
        raise DataError(f"the retrieved documents are {type(retrieved).__name__}", expected="a list, best first")
    return [_id(item) for item in cast("Sequence[Any]", retrieved)]


def _id(item: Any) -> str:
    if isinstance(item, Mapping):
        fields = cast("Mapping[str, Any]", item)
        item = next((fields[name] for name in _IDENTIFIERS if name in fields), None)
    if isinstance(item, str | int) and not isinstance(item, bool):
        return str(item)
    raise DataError(f"a document has no id: {item!r}", expected=f"a text, or a dict with {', '.join(_IDENTIFIERS)}")


def _gains(relevant: Any) -> dict[str, float]:
    if isinstance(relevant, Mapping):
        items = cast("Mapping[Any, Any]", relevant)
        if not all(isinstance(gain, int | float) and gain >= 0 for gain in items.values()):
            raise DataError(f"the gains are {dict(items)}", expected="a number of at least 0 for each document")
        return {str(key): float(gain) for key, gain in items.items()}
    if isinstance(relevant, str) and relevant:
        return {relevant: 1.0}
    if not isinstance(relevant, list | tuple):
        raise DataError(
            f"the relevant documents are {relevant!r}", expected="an id, a list of ids, or a mapping of ids to gains"
        )
    return dict.fromkeys(map(_id, cast("Sequence[Any]", relevant)), 1.0)
