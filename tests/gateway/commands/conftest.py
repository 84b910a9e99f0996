"""Runs the gateway's commands over a project of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.access.audit.commands import audit
from pilothouse.gateway.commands.commands import gateway

Run = Callable[..., Result]


@pytest.fixture
def run(services: Any) -> Run:
    """Run a command; it must leave with `code`."""

    def run(*arguments: str, code: int = 0) -> Result:
        group = audit if arguments[0] == "audit" else gateway
        rest = arguments[1:] if arguments[0] == "audit" else arguments
        result = CliRunner().invoke(group, rest, obj=services, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run
