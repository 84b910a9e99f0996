"""What stands around flows: scripts, pipelines, container files, notebooks, environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.experiments.migration.check import check_folder
from pilothouse.experiments.migration.checks.scripts import check_lines
from pilothouse.experiments.migration.types import FileReport

from ..projects import pipelines, write


def files(folder: Path) -> dict[str, FileReport]:
    return {file.path: file for file in check_folder(folder).files}


def told(file: FileReport) -> list[tuple[str, int | None]]:
    return [(finding.verdict, finding.line) for finding in file.findings]


def test_every_file_around_a_flow_is_read(tmp_path: Path) -> None:
    found = files(pipelines(tmp_path))
    assert {path: (file.kind, file.verdict) for path, file in found.items()} == {
        ".github/workflows/ci.yml": ("pipeline", "change"),
        "azure-pipelines.yml": ("pipeline", "change"),
        "Makefile": ("script", "note"),
        "scripts/go.sh": ("script", "note"),
        "Dockerfile": ("script", "change"),
        "try.ipynb": ("notebook", "change"),
        "conda.yaml": ("conda environment", "change"),
        "pyproject.toml": ("pyproject", "note"),
        "deployment.yml": ("Azure ML file", "note"),
    }


def test_lines_that_call_prompt_flow_are_named(tmp_path: Path) -> None:
    found = files(pipelines(tmp_path))
    assert told(found[".github/workflows/ci.yml"]) == [("note", 5), ("change", 7)]
    assert told(found["azure-pipelines.yml"]) == [("change", 5)]
    assert told(found["Makefile"]) == [("note", 2)]
    assert told(found["scripts/go.sh"]) == [("note", 1), ("note", 2)]
    assert told(found["Dockerfile"]) == [("change", 1), ("note", 2)]
    assert told(found["conda.yaml"]) == [("change", 4), ("note", 7)]
    assert told(found["pyproject.toml"]) == [("note", 3)]
    assert told(found["deployment.yml"]) == [("note", 1)]


def test_cells_of_a_notebook_are_read_as_code_and_as_commands(tmp_path: Path) -> None:
    messages = [finding.message for finding in files(pipelines(tmp_path))["try.ipynb"].findings]
    assert len(messages) == 3
    assert messages[0].startswith("cell 2: installs 'promptflow'")
    assert messages[1].startswith("cell 3: calls `pf flow test`")
    assert messages[2].startswith("cell 4: 'promptflow.azure'")


@pytest.mark.parametrize(
    "line",
    [
        "pf flow test --flow .",
        "  - run: pf run create --file run.yml",
        "\t@pf connection list",
        "RUN pf flow build --source . --output dist",
        "python -m promptflow run list",
        'CMD ["pf", "flow", "serve", "--source", "."]',
        "name=$(pf run create --file run.yml)",
        "cd flows && pf flow test --flow .",
        "sh 'pf run create --file run.yml'",
    ],
)
def test_a_call_is_seen_wherever_a_command_may_stand(line: str) -> None:
    assert [finding.verdict for finding in check_lines([line])] == ["note"]


@pytest.mark.parametrize(
    "line",
    [
        "# pf flow test",
        "echo of the pf flow",
        "pfctl run list",
        "my-pf run create",
        "pf_run create",
        "// pf run create",
        "pip install numpy",
        "make run flow",
        "FROM python:3.12-slim",
    ],
)
def test_what_only_looks_like_a_call_is_left_alone(line: str) -> None:
    assert list(check_lines([line])) == []


def test_what_cannot_be_read_is_never_called_fine(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "broken.ipynb": "{",
            "cells.ipynb": '{"cells": [{"cell_type": "code", "source": ["def ("]}]}',
            "list.ipynb": "[]",
            "pyproject.toml": "[project\n",
            ".github/ISSUE_TEMPLATE/bug.yml": "name: Bug\nbody: []\n",
        },
    )
    (tmp_path / "odd.sh").write_bytes(b"pf flow test \xff\xfe")
    found = files(tmp_path)
    assert found["broken.ipynb"].verdict == "change"
    assert found["cells.ipynb"].verdict == "note"
    assert found["pyproject.toml"].verdict == "change"
    assert found["odd.sh"].verdict == "change"
    assert found[".github/ISSUE_TEMPLATE/bug.yml"].verdict == "unread"


def test_a_python_that_is_new_enough_needs_nothing(tmp_path: Path) -> None:
    text = "name: e\ndependencies:\n  - python={}\n"
    for version, verdict in (("3.11", "runs"), ("3.12.1", "runs"), ("3.10", "change"), ("3.9.16", "change")):
        write(tmp_path, {"environment.yml": text.format(version)})
        assert files(tmp_path)["environment.yml"].verdict == verdict, version
