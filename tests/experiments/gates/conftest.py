"""The project of `tests/experiments`, with a gate to write and the command line to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.commands.commands import experiment
from pilothouse.experiments.gates.pipelines.commands import ci

Call = Callable[..., Result]


@pytest.fixture
def call(project: Any, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a verb as the command line does; the user's errors come back as its exception."""
    monkeypatch.chdir(project.root)

    def run(*arguments: str) -> Result:
        group = ci if arguments[0] == "init" else experiment
        return CliRunner().invoke(group, list(arguments), obj=project.services, standalone_mode=False)

    return run


@pytest.fixture
def gated(project: Any) -> Callable[[str], None]:
    """Write the gate of the experiment; its text is the YAML inside of ``gate:``."""
    plain = (project.root / "experiment.yaml").read_text()

    def write(text: str) -> None:
        indented = "".join(f"  {line}\n" for line in text.strip().splitlines())
        project.write("experiment.yaml", f"{plain}gate:\n{indented}")

    return write


def error_of(result: Result) -> str:
    """Return what the user would read."""
    assert isinstance(result.exception, PilothouseError), result.exception
    return str(result.exception)
