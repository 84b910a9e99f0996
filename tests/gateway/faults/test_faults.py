"""Every fault, streamed or not, under every way to meet it: honest errors, one row, nothing mixed, nothing kept back."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

import pytest

from ..running import UPSTREAM_SECRET
from .matrix import CELLS, PAGE, STREAMED_ALONE, TOKENS, Cell, Dialect, Outcome, outcomes, page

DIALECTS: tuple[Dialect, ...] = ("openai", "anthropic")
VARIANTS = [(dialect, metered) for dialect in DIALECTS for metered in (False, True)]
UNHARMFUL = {"slow"}
BEFORE = {"429", "500", "529", "hang", "disconnect", "html", "emptybody", "malformed", "badutf8"}
"""Faults that show before the first event of a stream."""


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda param: f"{param[0]}-{'metered' if param[1] else 'open'}")
def found(request: pytest.FixtureRequest) -> Mapping[Cell, Outcome]:
    """The whole matrix, run once: all its calls at the same time."""
    dialect, metered = request.param
    return asyncio.run(outcomes(dialect, metered=metered))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.route)
def test_a_fault_is_met(found: Mapping[Cell, Outcome], cell: Cell) -> None:
    outcome = found[cell]
    row = outcome.row
    assert outcome.rows == outcome.calls, "each call leaves exactly one row"
    assert outcome.code != "connection_broken", "the client is told, not cut off"
    assert (row.code or "") == outcome.code, "the ledger names what the client was told"
    assert row.http_status == outcome.status
    assert outcome.asked == len(row.attempts), "the routing trace holds every request that was sent"
    assert (row.status == "ok") == outcome.whole
    _one_answer_alone(cell, outcome)
    if outcome.whole:
        assert row.usage is not None
        assert row.cost is not None
    _recovers_where_it_can(cell, outcome)


def _one_answer_alone(cell: Cell, outcome: Outcome) -> None:
    """No text of a second answer follows text of a first one, unless a fallback was told to go on."""
    if cell.fault == "badutf8" or cell.way == "continuation":
        return
    seed = f"{zlib.crc32(_messages()):08x}"
    whole = " ".join([seed, *map(str, range(1, TOKENS))])
    assert whole.startswith(outcome.text)
    assert not outcome.whole or outcome.text == whole


def _messages() -> bytes:
    return b'[{"role": "user", "content": "hello"}]'


def _recovers_where_it_can(cell: Cell, outcome: Outcome) -> None:
    early = cell.fault in BEFORE or not cell.stream
    # A stream whose last event has come is whole, however its connection ends.
    if cell.fault in UNHARMFUL or (cell.fault == "lielength" and cell.stream):
        assert outcome.words == "served"
    elif cell.way == "breaker":
        assert outcome.words == "served, the first left alone"
    elif cell.way in {"retry", "fallback"} and early:
        assert outcome.words == "served by attempt 2"
    elif cell.way == "alone":
        assert outcome.code
    elif cell.way == "continuation" and outcome.text:
        assert outcome.whole


def test_the_page_says_what_happens(found: Mapping[Cell, Outcome]) -> None:
    """Whatever the dialect, and whether or not money is limited, outcomes are those of the page."""
    assert page(found) == PAGE.read_text(), "write it anew: python -m tests.gateway.faults"


def test_every_fault_has_its_cells() -> None:
    assert len(CELLS) == 15 * 5 + 13 * 4
    assert {cell.fault for cell in CELLS if not cell.stream}.isdisjoint(STREAMED_ALONE)


def test_no_secret_is_told(found: Mapping[Cell, Outcome]) -> None:
    assert not any(UPSTREAM_SECRET in outcome.text + str(outcome.row) for outcome in found.values())
