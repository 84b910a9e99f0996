"""Imports of a Python file: answered, not answered, or Azure's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.experiments.migration.checks.code import check_python


def verdicts(path: Path, text: str) -> list[tuple[str, int | None]]:
    path.write_text(text)
    return [(finding.verdict, finding.line) for finding in check_python(path)]


@pytest.mark.parametrize(
    "line",
    [
        "from promptflow import tool",
        "from promptflow.core import tool, log_metric, Flow",
        "import promptflow.core as core",
        "from promptflow.connections import CustomConnection",
        "from promptflow.contracts.types import PromptTemplate",
        "from promptflow import core",
        "from promptflow.contracts import types",
        "from .promptflow.azure import mine",
        "import promptflow_of_mine",
        "from promptflow._internal import ToolProvider",
    ],
)
def test_what_is_answered_needs_nothing(tmp_path: Path, line: str) -> None:
    assert verdicts(tmp_path / "tool.py", line) == []


@pytest.mark.parametrize(
    "line",
    [
        "from promptflow.evals.evaluators import F1ScoreEvaluator",
        "import promptflow.executor",
        "from promptflow.core import Nothing",
        "from promptflow.azure import PFClient",
        "from promptflow import azure",
        "def broken(:",
    ],
)
def test_what_is_not_answered_needs_a_change_at_its_line(tmp_path: Path, line: str) -> None:
    assert verdicts(tmp_path / "tool.py", f"import os\n{line}\n") == [("change", 2)]


def test_an_import_inside_a_function_is_found(tmp_path: Path) -> None:
    assert verdicts(tmp_path / "tool.py", "def f():\n    import promptflow.azure\n") == [("change", 2)]


def test_azure_ml_is_a_note_because_it_may_well_be_there(tmp_path: Path) -> None:
    assert verdicts(tmp_path / "tool.py", "from azure.ai.ml import MLClient\n") == [("note", 1)]
