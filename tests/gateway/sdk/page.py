"""The tables of `docs/gateway-clients.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import anthropic
import openai

from . import endpoints, errors, local, matrix

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

SmolLM2 in the gateway's own process, and `minilm` for vectors.
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
    rows = [
        [client, upstream, *(_cell(conversations, client, upstream, case) for case in matrix.CASES)]
        for client in matrix.CLIENTS
        for upstream in matrix.UPSTREAMS
    ]
    parts = [
        INTRODUCTION,
        CONVERSATIONS,
        _table(["Client", "Upstream", *matrix.CASES], rows),
        LOCAL,
        _table(["Client", *matrix.CASES], _local_rows(inside)),
        OTHERS,
        _table(["", *matrix.UPSTREAMS], _rows(others, endpoints.ASK, matrix.UPSTREAMS)),
        ERRORS,
        _table(
            ["What goes wrong", *errors.CLIENTS], _rows(wrong, dict.fromkeys(p.what for p in wrong), errors.CLIENTS)
        ),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _cell(found: Mapping[matrix.Cell, str], client: matrix.Client, upstream: str, case: matrix.Case) -> str:
    return found.get(matrix.Cell(client, upstream, case), "")


def _local_rows(found: Mapping[tuple[str, str], str]) -> list[list[str]]:
    clients = dict.fromkeys(client for client, _ in found)
    return [[client, *(found.get((client, case), "") for case in matrix.CASES)] for client in clients]


def _rows(found: Mapping[tuple[str, str], str], down: Iterable[str], across: Iterable[str]) -> list[list[str]]:
    return [[name, *(found[name, other] for other in across)] for name in down]


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
