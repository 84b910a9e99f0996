"""Data and answers that show nothing: a clear message before anything runs, or a state; never a silent number."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from pilothouse.experiments.commands.commands import experiment


@pytest.fixture
def run(project: Any) -> Any:
    def call(*more: str) -> Any:
        return CliRunner().invoke(
            experiment, ["run", str(project.file), *more], obj=project.services, standalone_mode=False
        )

    return call


def test_an_id_that_stands_twice_is_told_with_both_lines_before_anything_runs(project: Any, run: Any) -> None:
    project.write("data/sms.csv", "key,text,label\na,hello,ham\nb,a prize,spam\na,tricky,spam\n")
    project.edit("experiment.yaml", "data: data/sms.csv\n", "data: data/sms.csv\nid_column: key\n")
    result = run()
    assert "the id 'a' stands twice" in str(result.exception)
    assert "2 and 4" in str(result.exception)
    assert project.calls() == 0


def test_data_without_a_row_is_refused(project: Any, run: Any) -> None:
    project.data([])
    assert "there is no row" in str(run().exception)


@pytest.mark.parametrize(("variants", "of"), [("", "every variant"), ("variants: {few: {classify: few}}\n", "few")])
def test_where_every_row_failed_nothing_was_measured(project: Any, run: Any, variants: str, of: str) -> None:
    project.write("script.yaml", "- {error: 400}\n")
    if variants:
        project.edit("experiment.yaml", "baseline: zero\n", variants)
    result = run()
    assert result.return_value == 1
    assert f"nothing was measured: no row of {of} was answered." in " ".join(result.stdout.replace("│", " ").split())


def test_one_class_only_is_said(project: Any, run: Any) -> None:
    project.data([(f"hello {number}", "ham") for number in range(8)])
    result = run()
    assert "All true labels are of one class" in result.stdout
