"""Embeddings: from OpenAI's form into those of Google, Amazon and Cohere, and back."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.gateway.dialects.embeddings import CODECS, EmbeddingCall, predicted, read_request, write_response
from pilothouse.models.types import EmbeddingResponse, Usage

TWO = EmbeddingCall(inputs=("a", "b"), dimensions=2)
ONE = EmbeddingCall(inputs=("a",))


def asked(**fields: Any) -> EmbeddingCall:
    return read_request(json.dumps({"model": "m", "input": "a", **fields}).encode())


def test_a_request_is_read() -> None:
    call = asked(input=["a", "b"], dimensions=2, encoding_format="base64", user="u", input_type="search_query")

    assert call == EmbeddingCall(inputs=("a", "b"), dimensions=2, is_base64=True, extra={"input_type": "search_query"})
    assert asked() == ONE


@pytest.mark.parametrize(
    "fields",
    [
        {"input": []},
        {"input": ""},
        {"input": ["a", ""]},
        {"input": [1, 2]},
        {"input": [[1]]},
        {"input": None},
        {"dimensions": 0},
        {"dimensions": "x"},
        {"encoding_format": "hex"},
        {"surprise": 1},
    ],
)
def test_what_cannot_be_translated_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        asked(**fields)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{" * 30_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_request(body)


def test_an_answer_is_written_in_either_encoding() -> None:
    response = EmbeddingResponse(vectors=((0.5, -1.0),), usage=Usage(input_tokens=3))

    plain = json.loads(write_response(response, ONE, "m"))
    packed = json.loads(write_response(response, asked(encoding_format="base64"), "m"))

    assert plain == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.0)


def test_the_official_client_reads_what_is_written() -> None:
    from openai.types import CreateEmbeddingResponse

    body = write_response(EmbeddingResponse(vectors=((1.0,), (2.0,))), TWO, "m")

    assert [item.embedding for item in CreateEmbeddingResponse.model_validate_json(body).data] == [[1.0], [2.0]]


REQUESTS = [
    (
        "gemini.embed",
        "gemini-embedding-001",
        TWO,
        {
            "requests": [
                {
                    "model": "models/gemini-embedding-001",
                    "content": {"parts": [{"text": text}]},
                    "outputDimensionality": 2,
                }
                for text in ("a", "b")
            ]
        },
    ),
    (
        "cohere.embed",
        "embed-v4.0",
        EmbeddingCall(inputs=("a",), dimensions=256, extra={"input_type": "search_query", "truncate": "END"}),
        {
            "model": "embed-v4.0",
            "texts": ["a"],
            "input_type": "search_query",
            "embedding_types": ["float"],
            "output_dimension": 256,
            "truncate": "END",
        },
    ),
    (
        "bedrock.embed",
        "amazon.titan-embed-text-v2:0",
        EmbeddingCall(inputs=("a",), dimensions=256),
        {"inputText": "a", "dimensions": 256},
    ),
    (
        "bedrock.embed",
        "cohere.embed-english-v3",
        EmbeddingCall(inputs=("a", "b")),
        {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]},
    ),
]


@pytest.mark.parametrize(("wire", "model", "call", "body"), REQUESTS)
def test_each_vendor_is_asked_in_its_form(wire: str, model: str, call: EmbeddingCall, body: dict[str, Any]) -> None:
    assert json.loads(CODECS[wire].encode(call, model)) == body


def test_titan_takes_one_text_and_unknown_models_none() -> None:
    with pytest.raises(ValueError, match="one text"):
        CODECS["bedrock.embed"].encode(TWO, "amazon.titan-embed-text-v2:0")
    with pytest.raises(ValueError, match="not known"):
        CODECS["bedrock.embed"].encode(ONE, "arn:aws:bedrock:x")


ANSWERS = [
    (
        "gemini.embed",
        {"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}], "usageMetadata": {"promptTokenCount": 9}},
        {},
        9,
    ),
    ("gemini.embed", {"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}]}, {}, None),
    (
        "gemini.embed",
        {
            "predictions": [
                {"embeddings": {"values": [1, 2], "statistics": {"token_count": 4, "truncated": False}}},
                {"embeddings": {"values": [3, 4], "statistics": {"token_count": 5}}},
            ]
        },
        {},
        9,
    ),
    (
        "cohere.embed",
        {"embeddings": {"float": [[1, 2], [3, 4]]}, "meta": {"billed_units": {"input_tokens": 9.0}}},
        {},
        9,
    ),
    ("bedrock.embed", {"embeddings": [[1, 2], [3, 4]]}, {"x-amzn-bedrock-input-token-count": "9"}, 9),
    ("bedrock.embed", {"embeddings": {"float": [[1, 2], [3, 4]]}}, {"x-amzn-bedrock-input-token-count": "²"}, None),
]


@pytest.mark.parametrize(("wire", "body", "headers", "tokens"), ANSWERS)
def test_each_vendors_answer_is_read(
    wire: str, body: dict[str, Any], headers: dict[str, str], tokens: int | None
) -> None:
    response = CODECS[wire].decode(json.dumps(body).encode(), TWO, headers)

    assert response.vectors == ((1.0, 2.0), (3.0, 4.0))
    assert response.usage == (None if tokens is None else Usage(input_tokens=tokens))


def test_titans_answer_is_read() -> None:
    body = b'{"embedding":[1,2],"inputTextTokenCount":3}'
    response = CODECS["bedrock.embed"].decode(body, ONE, {})
    assert (response.vectors, response.usage) == (((1.0, 2.0),), Usage(input_tokens=3))


@pytest.mark.parametrize("wire", sorted(CODECS))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"embeddings":[]}',
        b'{"embeddings":7}',
        b'{"embeddings":[[1]]}',
        b"[" * 30_000,
    ],
)
def test_an_answer_without_the_vectors_is_told(wire: str, body: bytes) -> None:
    with pytest.raises(ValueError):
        CODECS[wire].decode(body, TWO, {})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(1, 4096)),
    st.sampled_from(["task_type", "title", None]),
)
def test_what_is_predicted_says_the_same(texts: list[str], dimensions: int | None, key: str | None) -> None:
    call = EmbeddingCall(inputs=tuple(texts), dimensions=dimensions, extra={key: "v"} if key else {})

    body = json.loads(predicted(CODECS["gemini.embed"].encode(call, "m")))

    assert [item["content"] for item in body["instances"]] == texts
    assert body.get("parameters", {}).get("outputDimensionality") == dimensions
    assert all(item.get(key) == ("v" if key else None) for item in body["instances"])
