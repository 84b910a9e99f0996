"""The evaluator `embedding_similarity`: the cosine of whole texts. It is blind to negation.

``prediction`` is the answer, ``truth`` a reference or a list of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, ModelError
from pilothouse.core.structs import convert
from pilothouse.evaluation.evaluators.builtin.arguments import answer_text, references_of
from pilothouse.evaluation.evaluators.calls import CallableEvaluator
from pilothouse.evaluation.metrics.similarity.encoder import Encoder, open_encoder
from pilothouse.evaluation.metrics.similarity.matching import unit
from pilothouse.evaluation.metrics.similarity.measured import BLIND
from pilothouse.evaluation.types import EvaluatorSpec, Metric, Score
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.models.client import ModelClient
from pilothouse.models.providers.encoder import MOST_TOKENS, OFFLINE
from pilothouse.models.types import EmbeddingRequest

_MOST_AT_ONCE = 64


class EmbeddingOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the evaluator `embedding_similarity`.

    Attributes:
        connection: Whose embeddings; without it, an encoder on this machine.
        model: Of the connection; its own when empty.
        encoder: ``minilm``, or a folder with `model.onnx` and `tokenizer.json`.
        download: Whether the tokenizer of ``minilm`` may be fetched, once.
        max_tokens: Tokens of a text that an encoder looks at.
    """

    connection: str = ""
    model: str = ""
    encoder: str = OFFLINE
    download: bool = False
    max_tokens: int = MOST_TOKENS


class Vectors(Protocol):
    """Gives a vector for each text; ``name`` is told, ``identity`` belongs to the evaluator's version."""

    name: str
    identity: Any

    async def of(self, texts: list[str]) -> Any:
        """Return a matrix with one row a text."""
        ...


class EmbeddingSimilarity:
    """Mean cosine of answer and reference, -1 to 1; the best of several references. An empty answer is 0."""

    without_models = True
    metrics = (Metric(name="embedding_similarity", kind="mean", worst=0.0, bounds=(-1.0, 1.0)),)

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._evidence = {"vectors": vectors.name, "warning": BLIND}

    @classmethod
    def from_spec(cls, spec: EvaluatorSpec, models: ModelLookup | None, root: Path) -> CallableEvaluator:
        """Return the evaluator that an experiment asks for.

        Raises:
            ConfigError: for options that do not fit.
            ConnectionFault: for a connection that is missing or incomplete.
        """
        options = convert(spec.options, EmbeddingOptions, where=spec.where or "options of embedding_similarity")
        vectors = _OfConnection(options, models) if options.connection else _OfEncoder(options, root)
        version = digest([cls.__qualname__, vectors.identity])
        return CallableEvaluator(spec.name, cls(vectors), version, spec.better)

    async def __call__(self, prediction: Any, truth: Any) -> Score:
        """Judge one row."""
        answer, references = answer_text(prediction), references_of(truth)
        if not answer.strip():
            return Score(value=0.0, evidence=self._evidence)
        first, *others = unit(await self._vectors.of([answer, *references]))
        return Score(value=max(float(first @ other) for other in others), evidence=self._evidence)


class _OfEncoder:
    def __init__(self, options: EmbeddingOptions, root: Path) -> None:
        self._encoder: Encoder = open_encoder(root, options.encoder, download=options.download, most=options.max_tokens)
        self.identity = self._encoder.identity
        self.name = f"{options.encoder} {self._encoder.identity[:12]}"

    async def of(self, texts: list[str]) -> Any:
        return np.stack(await asyncio.to_thread(lambda: [self._encoder.whole(text) for text in texts]))


class _OfConnection:
    """No more is asked at once than the connection serves."""

    def __init__(self, options: EmbeddingOptions, models: ModelLookup | None) -> None:
        if models is None:
            raise ConfigError("the evaluator 'embedding_similarity' asks a model, but no models are at hand here")
        models.check(options.connection, options.model)
        self._client: ModelClient = models.client(options.connection)
        self._model = options.model
        self._most = models.slots(options.connection) or _MOST_AT_ONCE
        self._gates: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        told: Mapping[str, str] = models.connection(options.connection).identity()
        self.identity = [{key: value for key, value in told.items() if key != "name"}, options.model]
        self.name = f"{self._client.provider}/{options.model}".rstrip("/")

    async def of(self, texts: list[str]) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._gates:
            self._gates = {loop: asyncio.Semaphore(self._most)}
        async with self._gates[loop]:
            found = await self._client.embed(EmbeddingRequest(model=self._model, inputs=tuple(texts)))
        if len(found.vectors) != len(texts):
            raise ModelError(f"{len(found.vectors)} vectors came for {len(texts)} texts")
        return np.array(found.vectors, dtype=np.float64)
