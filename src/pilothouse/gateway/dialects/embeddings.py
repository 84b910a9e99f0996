"""Embeddings: OpenAI's request and answer, and the forms of Google, Amazon and Cohere they are translated into."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.upstream_only import quoted
from pilothouse.gateway.types import Wire
from pilothouse.models.types import EmbeddingResponse, Usage

_KNOWN: Final = frozenset(("model", "input", "dimensions", "encoding_format", "user"))
_NATIVE: Final = frozenset(("input_type", "task_type", "title", "truncate"))
_COUNT_HEADER: Final = "x-amzn-bedrock-input-token-count"


class EmbeddingCall(Struct, frozen=True, kw_only=True):
    """What a client asks for.

    Attributes:
        inputs: The texts.
        dimensions: Numbers of a vector, where the model allows a choice.
        is_base64: Whether vectors are sent as base64 of little-endian 32-bit floats.
        extra: Of the vendors' own keys: ``input_type``, ``task_type``, ``title``, ``truncate``.
    """

    inputs: tuple[str, ...]
    dimensions: int | None = None
    is_base64: bool = False
    extra: dict[str, str] = {}


class _Request(Struct):
    input: str | list[str]
    dimensions: int | None = None
    encoding_format: str | None = None


_requests = msgspec.json.Decoder(_Request)
_objects = msgspec.json.Decoder(dict[str, Any])


def read_request(body: bytes) -> EmbeddingCall:
    """Read a client's request.

    Raises:
        ValueError: for what cannot be translated, such as tokens in place of texts.
    """
    try:
        found = _requests.decode(body)
        keys = _objects.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the request cannot be translated: {error}; expected `input` as a text or texts") from None
    inputs = (found.input,) if isinstance(found.input, str) else tuple(found.input)
    if not inputs or not all(inputs):
        raise ValueError("`input` must be a text or texts, none of them empty")
    if found.encoding_format not in {None, "float", "base64"}:
        raise ValueError(f"`encoding_format` must be float or base64, not {found.encoding_format!r}")
    if found.dimensions is not None and found.dimensions < 1:
        raise ValueError("`dimensions` must be 1 or more")
    unknown = sorted(keys.keys() - _KNOWN - _NATIVE)
    if unknown:
        raise ValueError(f"there is no word for {', '.join(f'`{key}`' for key in unknown)} in the upstream's form")
    return EmbeddingCall(
        inputs=inputs,
        dimensions=found.dimensions,
        is_base64=found.encoding_format == "base64",
        extra={key: str(keys[key]) for key in sorted(_NATIVE & keys.keys())},
    )


def write_response(response: EmbeddingResponse, call: EmbeddingCall, model: str) -> bytes:
    """Write an answer as OpenAI does; where the upstream counted nothing the usage is 0.

    Args:
        response: The vectors.
        call: What was asked for.
        model: As the client knows it.
    """
    tokens = response.usage.input_tokens if response.usage is not None else 0
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _packed(vector) if call.is_base64 else vector}
                for index, vector in enumerate(response.vectors)
            ],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


class EmbeddingCodec(Protocol):
    """One upstream's form of embeddings. A ``ValueError`` says what is wrong, in words for the sender."""

    wire: Wire

    def encode(self, call: EmbeddingCall, model: str) -> bytes:
        """Write the request to the upstream."""
        ...

    def decode(self, body: bytes, call: EmbeddingCall, headers: Mapping[str, str]) -> EmbeddingResponse:
        """Read the upstream's answer; its headers (lower case) may hold the usage."""
        ...


class _Values(Struct):
    values: list[float] = []


class _GoogleCount(Struct):
    promptTokenCount: int | None = None  # noqa: N815 - the vendor's spelling
    token_count: float | None = None


class _Predicted(Struct):
    values: list[float] = []
    statistics: _GoogleCount | None = None


class _Prediction(Struct):
    embeddings: _Predicted


class _GeminiAnswer(Struct):
    embeddings: list[_Values] = []
    predictions: list[_Prediction] = []
    usageMetadata: _GoogleCount | None = None  # noqa: N815 - the vendor's spelling


class GeminiEmbeddings:
    """Google's `batchEmbedContents`; answers of Vertex AI's `predict` are read too."""

    wire: Wire = "gemini.embed"

    def encode(self, call: EmbeddingCall, model: str) -> bytes:
        """Write the request."""
        name = model if "/" in model else f"models/{model}"
        further: dict[str, Any] = {}
        if call.dimensions is not None:
            further["outputDimensionality"] = call.dimensions
        for ours, theirs in (("task_type", "taskType"), ("input_type", "taskType"), ("title", "title")):
            if ours in call.extra:
                further.setdefault(theirs, call.extra[ours])
        requests = [{"model": name, "content": {"parts": [{"text": text}]}, **further} for text in call.inputs]
        return msgspec.json.encode({"requests": requests})

    def decode(self, body: bytes, call: EmbeddingCall, headers: Mapping[str, str]) -> EmbeddingResponse:
        """Read the answer."""
        answer = _read(_gemini, body, "Gemini")
        usage: Usage | None = None
        if answer.predictions:
            found = [prediction.embeddings for prediction in answer.predictions]
            counts = [item.statistics.token_count for item in found if item.statistics is not None]
            known = [count for count in counts if count is not None]
            usage = Usage(input_tokens=int(sum(known))) if len(known) == len(found) else None
            return _checked([item.values for item in found], call, usage)
        if answer.usageMetadata is not None and answer.usageMetadata.promptTokenCount is not None:
            usage = Usage(input_tokens=answer.usageMetadata.promptTokenCount)
        return _checked([item.values for item in answer.embeddings], call, usage)


class _TitanAnswer(Struct):
    embedding: list[float] = []
    inputTextTokenCount: int | None = None  # noqa: N815 - the vendor's spelling


class _ByKind(Struct):
    floats: list[list[float]] = msgspec.field(name="float", default_factory=list[list[float]])


class _Units(Struct):
    input_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Units | None = None


class _CohereAnswer(Struct):
    embeddings: _ByKind | list[list[float]] | None = None
    meta: _Meta | None = None


class CohereEmbeddings:
    """The second version of Cohere's `embed`."""

    wire: Wire = "cohere.embed"

    def encode(self, call: EmbeddingCall, model: str) -> bytes:
        """Write the request; without an ``input_type`` the texts are documents to be found."""
        return msgspec.json.encode({"model": model, **_cohere_body(call)})

    def decode(self, body: bytes, call: EmbeddingCall, headers: Mapping[str, str]) -> EmbeddingResponse:
        """Read the answer."""
        answer = _read(_cohere, body, "Cohere")
        units = answer.meta.billed_units if answer.meta is not None else None
        tokens = units.input_tokens if units is not None else None
        return _checked(_vectors(answer), call, None if tokens is None else Usage(input_tokens=int(tokens)))


class BedrockEmbeddings:
    """Amazon's `InvokeModel` with the embedding models of Titan and Cohere."""

    wire: Wire = "bedrock.embed"

    def encode(self, call: EmbeddingCall, model: str) -> bytes:
        """Write the request.

        Raises:
            ValueError: for another model, or several texts where the model takes one.
        """
        if "cohere.embed" in model:
            return msgspec.json.encode(_cohere_body(call))
        if "titan-embed" not in model:
            raise ValueError(f"the embedding model {model} is not known: expected one of titan-embed or cohere.embed")
        text, *others = call.inputs
        if others:
            raise ValueError("Titan takes one text a call: send the texts of `input` one by one")
        body: dict[str, Any] = {"inputText": text}
        if call.dimensions is not None:
            body["dimensions"] = call.dimensions
        return msgspec.json.encode(body)

    def decode(self, body: bytes, call: EmbeddingCall, headers: Mapping[str, str]) -> EmbeddingResponse:
        """Read the answer; its model is told by its shape."""
        counted = headers.get(_COUNT_HEADER, "")
        usage = Usage(input_tokens=int(counted)) if counted.isascii() and counted.isdigit() else None
        if b'"embeddings"' in body:
            return _checked(_vectors(_read(_cohere, body, "Bedrock")), call, usage)
        answer = _read(_titan, body, "Bedrock")
        if answer.inputTextTokenCount is not None:
            usage = Usage(input_tokens=answer.inputTextTokenCount)
        return _checked([answer.embedding], call, usage)


_gemini = msgspec.json.Decoder(_GeminiAnswer)
_titan = msgspec.json.Decoder(_TitanAnswer)
_cohere = msgspec.json.Decoder(_CohereAnswer)

CODECS: Final[dict[Wire, EmbeddingCodec]] = {
    codec.wire: codec for codec in (GeminiEmbeddings(), BedrockEmbeddings(), CohereEmbeddings())
}
"""By the upstream's form."""


def predicted(body: bytes) -> bytes:
    """Return a body of `batchEmbedContents` as Vertex AI's `predict` wants it."""
    requests = msgspec.json.decode(body)["requests"]
    instances: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {}
    for request in requests:
        instance = {"content": request["content"]["parts"][0]["text"]}
        for theirs, name in (("taskType", "task_type"), ("title", "title")):
            if theirs in request:
                instance[name] = request[theirs]
        if "outputDimensionality" in request:
            parameters["outputDimensionality"] = request["outputDimensionality"]
        instances.append(instance)
    return msgspec.json.encode({"instances": instances, **({"parameters": parameters} if parameters else {})})


def _cohere_body(call: EmbeddingCall) -> dict[str, Any]:
    body: dict[str, Any] = {
        "texts": list(call.inputs),
        "input_type": call.extra.get("input_type", "search_document"),
        "embedding_types": ["float"],
    }
    if call.dimensions is not None:
        body["output_dimension"] = call.dimensions
    if "truncate" in call.extra:
        body["truncate"] = call.extra["truncate"]
    return body


def _vectors(answer: _CohereAnswer) -> list[list[float]]:
    if isinstance(answer.embeddings, list):
        return answer.embeddings
    return answer.embeddings.floats if answer.embeddings is not None else []


def _checked(vectors: list[list[float]], call: EmbeddingCall, usage: Usage | None) -> EmbeddingResponse:
    if len(vectors) != len(call.inputs) or not all(vectors):
        full = sum(bool(vector) for vector in vectors)
        raise ValueError(f"{len(call.inputs)} texts were sent, {full} vectors came back")
    return EmbeddingResponse(vectors=tuple(tuple(vector) for vector in vectors), usage=usage)


def _packed(vector: tuple[float, ...]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except (OverflowError, struct.error):
        raise ValueError("a number of a vector does not fit into 32 bits") from None


def _read(decoder: msgspec.json.Decoder[Any], body: bytes, vendor: str) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the answer of {vendor} cannot be read ({error}): {quoted(body)}") from None
