"""Rerank: requests are looked at and spliced, usage is read in the words of Cohere, Jina and vLLM."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pilothouse.gateway.dialects.rerank import RERANK
from pilothouse.gateway.types import Body
from pilothouse.models.types import Usage

RESULTS = [{"index": 0, "relevance_score": 0.9}]


@pytest.mark.parametrize(
    ("fields", "usage", "model"),
    [
        ({"meta": {"billed_units": {"search_units": 2}}}, Usage(searches=2), ""),
        ({"model": "jina", "usage": {"total_tokens": 7}}, Usage(input_tokens=7), "jina"),
        ({"model": "v", "usage": {"prompt_tokens": 6, "total_tokens": 6}}, Usage(input_tokens=6), "v"),
        ({"usage": {"prompt_tokens": 6}}, Usage(input_tokens=6), ""),
        ({"meta": {"api_version": {"version": "2"}}}, None, ""),
        ({}, None, ""),
    ],
)
def test_the_usage_of_an_answer_is_read(fields: dict[str, Any], usage: Usage | None, model: str) -> None:
    assert RERANK.usage(json.dumps({"results": RESULTS, **fields}).encode()) == (usage, model)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b"\xff", b'{"results":1}', b"[" * 30_000])
def test_what_is_no_answer_is_told(body: bytes) -> None:
    with pytest.raises(ValueError):
        RERANK.usage(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"query":"q","documents":[]}',
        b'{"query":"","documents":["d"]}',
        b'{"query":1,"documents":["d"]}',
        b'{"query":"q","documents":["d"],"top_n":0}',
        b"{" * 30_000,
    ],
)
def test_a_request_that_asks_for_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        RERANK.check(body)


def test_only_the_model_is_changed() -> None:
    given = b'{"query":"q","model":"alias","documents":[{"text": "d"}],"top_n":1,"x":1.50}'
    RERANK.check(given)

    body = RERANK.splice(msgspec.json.decode(given, type=Body), 'dep"loyment')

    assert json.loads(body) == {**json.loads(given), "model": 'dep"loyment'}
    assert b"1.50" in body
    assert RERANK.splice(msgspec.json.decode(given, type=Body), None) == given
