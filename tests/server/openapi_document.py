"""Writes `docs/openapi.json` anew: ``python -m tests.server.openapi_document``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pilothouse.gateway.admin.operations import OPERATIONS
from pilothouse.server.openapi import describe

if __name__ == "__main__":
    made = msgspec.json.format(msgspec.json.encode(describe(OPERATIONS)), indent=2)
    (Path(__file__).parents[2] / "docs" / "openapi.json").write_bytes(made + b"\n")
