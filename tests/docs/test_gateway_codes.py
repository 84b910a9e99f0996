"""The table of error codes says what the gateway answers."""

from __future__ import annotations

import json
from pathlib import Path

from pilothouse.gateway.dialects.errors import error_body
from pilothouse.gateway.refusals import STATUSES, Refusal

PAGE = Path(__file__).parents[2] / "docs" / "gateway-operations.md"


def rows() -> list[str]:
    """Return the rows of the table, as they must be."""
    found = []
    for code, status in STATUSES.items():
        refusal = Refusal(code, "")
        openai = json.loads(error_body("openai", refusal, ""))["error"]["type"]
        anthropic = json.loads(error_body("anthropic", refusal, ""))["error"]["type"]
        found.append(f"| `{code}` | {status} | `{openai}` | `{anthropic}` |")
    return found


def test_the_table_of_codes_is_that_of_the_gateway() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("<!-- codes")[2].splitlines()
    shown = [line for line in table if line.startswith("| `")]
    assert shown == rows(), "put this into the page:\n" + "\n".join(rows())
