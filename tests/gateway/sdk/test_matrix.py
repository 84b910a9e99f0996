"""The official clients in front of every upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from . import endpoints, errors, matrix
from .page import PAGE, tables


@pytest.fixture(scope="module")
def conversations() -> Mapping[matrix.Cell, str]:
    return asyncio.run(matrix.outcomes())


@pytest.fixture(scope="module")
def others() -> Mapping[tuple[str, str], str]:
    return asyncio.run(endpoints.outcomes())


@pytest.fixture(scope="module")
def wrong() -> Mapping[errors.Place, str]:
    return asyncio.run(errors.outcomes())


@pytest.mark.parametrize("cell", [cell for cell in matrix.CELLS if cell.is_asked], ids=lambda cell: cell.key)
def test_a_client_is_served(conversations: Mapping[matrix.Cell, str], cell: matrix.Cell) -> None:
    assert conversations[cell] == matrix.PASSES


def test_what_an_upstream_does_not_have_is_refused_for_good(others: Mapping[tuple[str, str], str]) -> None:
    assert set(others.values()) == {matrix.PASSES, "BadRequestError `not_supported`"}
    assert others["embeddings", "gemini"] == others["files, batches", "azure"] == matrix.PASSES
    assert others["count_tokens", "openai"] != matrix.PASSES


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("no key", {"AuthenticationError"}),
        ("an unknown key", {"AuthenticationError"}),
        ("a model that is not there", {"NotFoundError"}),
        ("a negative limit of tokens", {"BadRequestError"}),
        ("a limit is reached", {"RateLimitError"}),
        ("the client's own patience ends", {"APITimeoutError"}),
        ("the upstream answers 429", {"RateLimitError"}),
        ("the upstream answers 500", {"InternalServerError"}),
        ("the upstream takes longer than the route allows", {"InternalServerError", "GatewayTimeoutError"}),
        *((what, {"APIError", "APIStatusError"}) for what in errors.INSIDE),
    ],
)
def test_the_right_exception_is_raised(wrong: Mapping[errors.Place, str], what: str, names: set[str]) -> None:
    assert {wrong[errors.Place(what, client)].partition(" ")[0] for client in errors.CLIENTS} <= names


def test_the_page_says_what_happens(
    conversations: Mapping[matrix.Cell, str],
    others: Mapping[tuple[str, str], str],
    wrong: Mapping[errors.Place, str],
) -> None:
    written = PAGE.read_text()
    for table in tables(conversations, others, wrong):
        assert table in written, "write it anew: python -m tests.gateway.sdk"
