"""The tables of `docs/gateway-clients.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anthropic
import openai

from . import endpoints, errors, matrix

PAGE = Path(__file__).parents[3] / "docs" / "gateway-clients.md"

INTRODUCTION = f"""# The official clients

What the official Python clients get through the gateway: `openai` {openai.__version__.partition(".")[0]} and
`anthropic` {anthropic.__version__.partition(".")[0]}, each as it is, with nothing but another address. The tables are what they got in front of a mock
of each dialect, and of the local model; they are written by `python -m tests.gateway.sdk`, and a test keeps them true.

Every call is checked three times: what the client understood is what the upstream said; the tokens that it was told are
those of the ledger; and the ledger's row says when the first byte came.
"""

CONVERSATIONS = """
## Conversations

- **plain**: `create`
- **stream**: the helper `stream`, with its final object; of completions `create(stream=True)`
- **tools**: two calls at once, their results sent back, and the answer to them
- **tools streamed**: the same, the calls put together from their pieces by the helper
- **structured**: the helper `parse`, with a Pydantic model

Completions have neither tools nor schemas.
"""

LOCAL = """
## The local model

SmolLM2 (135M) in the gateway's own process, and `minilm` for vectors: numbers and base64. Its template knows no tools, so
llama.cpp would leave them out without a word: a call that the request insists on (`tool_choice` required, or one function
by name) is had by binding the answer to the tool's schema; one at a time, and where the choice is left to the model it
answers with text. Completions come in one piece when they are streamed.
"""

OTHERS = """
## Everything else

Vectors are asked for as the client does by itself (base64 on the wire), as numbers, and as base64 in so many words.
Files and batches are handed on as they are, to the route that the header `x-pilothouse-route` names. What an upstream
has no such thing for is refused with 400 `not_supported`, which the clients do not try again.
"""

ERRORS = """
## What goes wrong

The exception that the client raises, and the stable code in it. Inside a stream it is raised by the iteration, after the
pieces that came.
"""


def page(
    conversations: Mapping[matrix.Cell, str],
    others: Mapping[tuple[str, str], str],
    wrong: Mapping[errors.Place, str],
    inside: Mapping[tuple[str, str], str],
) -> str:
    """Return the whole page."""
    first, second, third = tables(conversations, others, wrong)
    parts = [INTRODUCTION, CONVERSATIONS, first, LOCAL, local_table(inside), OTHERS, second, ERRORS, third]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def tables(
    conversations: Mapping[matrix.Cell, str],
    others: Mapping[tuple[str, str], str],
    wrong: Mapping[errors.Place, str],
) -> tuple[str, str, str]:
    """Return the tables of the mocks: conversations, everything else, what goes wrong."""
    rows = [
        [client, upstream, *(_cell(conversations, client, upstream, case) for case in matrix.CASES)]
        for client in matrix.CLIENTS
        for upstream in matrix.UPSTREAMS
    ]
    faults = dict.fromkeys(place.what for place in wrong)
    return (
        _table(["Client", "Upstream", *matrix.CASES], rows),
        _table(["", *matrix.UPSTREAMS], _rows(others, endpoints.ASK, matrix.UPSTREAMS)),
        _table(["What goes wrong", *errors.CLIENTS], _rows(wrong, faults, errors.CLIENTS)),
    )


def local_table(found: Mapping[tuple[str, str], str]) -> str:
    """Return the table of the local model."""
    clients = dict.fromkeys(client for client, _ in found)
    rows = [[client, *(found.get((client, case), "") for case in matrix.CASES)] for client in clients]
    return _table(["Client", *matrix.CASES], rows)


def _cell(found: Mapping[matrix.Cell, str], client: matrix.Client, upstream: str, case: matrix.Case) -> str:
    return found.get(matrix.Cell(client, upstream, case), "")


def _rows(found: Mapping[Any, str], down: Iterable[str], across: Iterable[str]) -> list[list[str]]:
    return [[name, *(found[name, other] for other in across)] for name in down]


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
