"""The command line of suites: what is printed, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import NotFound, UserError
from pilothouse.experiments.runs.commands.commands import run as run_group
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.suites.commands import suite


@pytest.fixture
def call(services: Any, flow: str, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(services.root)

    def run(*arguments: str, group: Any = suite) -> Result:
        return CliRunner().invoke(group, list(arguments), obj=services, standalone_mode=False)

    return run


def ask(name: str, *more: str) -> list[str]:
    return ["run", name, "--flow", "flows/qa", "--input", "question", "--output", "output", *more]


def test_the_list_says_what_there_is(call) -> None:  # type: ignore[no-untyped-def]
    names = [item["name"] for item in json.loads(call("list", "--json").stdout)]
    assert len(names) == 11
    shown = call("list").stdout
    assert all(name in shown for name in names)


def test_a_suite_shows_its_measures_prompts_and_the_errors_of_its_detectors(call) -> None:  # type: ignore[no-untyped-def]
    shown = call("show", "refusal", "--rows", "2").stdout
    assert "harmless, refused" in shown
    assert "messages-harmful" in shown
    assert "wrong alarms" in shown
    found = json.loads(call("show", "refusal", "--rows", "2", "--json").stdout)
    assert len(found["prompts"]) == 2
    assert found["detectors"][0]["n"] == 140


def test_a_suite_that_passes_ends_with_0_and_is_a_run_like_others(call, services: Any) -> None:  # type: ignore[no-untyped-def]
    result = call(*ask("pii", "--name", "mine"))
    assert (result.exception, result.return_value) == (None, 0)
    assert "Suite pii: pass, 40 rows" in result.stdout
    assert "0.000 to 0.161" in result.stdout
    assert "next: pilothouse run show mine" in result.stdout
    assert services.get(RunService).get("mine").counts.completed == 40
    shown = call("show", "mine", group=run_group)
    assert "suite pii" in shown.stdout


def test_a_suite_that_fails_ends_with_1_and_shows_the_worst_rows(call) -> None:  # type: ignore[no-untyped-def]
    result = call(*ask("injection", "--set", "mode=bad"))
    assert (result.exception, result.return_value) == (None, 1)
    assert "Suite injection: fail" in result.stdout
    assert "one case is enough" in result.stdout
    assert "said:  Of course:" in result.stdout


def test_what_cannot_be_told_ends_with_4(call) -> None:  # type: ignore[no-untyped-def]
    result = call(*ask("toxicity", "--limit", "0.05", "--json"))
    assert (result.exception, result.return_value) == (None, 4)
    found = json.loads(result.stdout)
    assert found["outcome"] == "inconclusive"
    assert found["figures"][0]["estimate"]["interval"]["method"] == "wilson"


def test_rows_that_fail_are_told(call) -> None:  # type: ignore[no-untyped-def]
    result = call(*ask("toxicity", "--set", "mode=broken", "--name", "broken"))
    assert result.return_value == 4
    assert "20 rows without an answer" in result.stdout


def test_document_and_question_can_go_into_inputs_of_their_own(call, services: Any) -> None:  # type: ignore[no-untyped-def]
    folder = Path(services.root) / "flows" / "rag"
    folder.mkdir()
    (folder / "flow.flex.yaml").write_text("entry: flow:answer\n")
    (folder / "flow.py").write_text(
        "def answer(question: str, document: str) -> str:\n"
        "    return 'The document does not say.' if 'Document' in document and 'Document:' not in question else ''\n"
    )
    result = call(
        "run", "hallucination", "--flow", "flows/rag", "--input", "question", "--context", "document", "--output",
        "output", "--json",
    )  # fmt: skip
    assert result.exception is None
    figures = {figure["name"]: figure for figure in json.loads(result.stdout)["figures"]}
    assert figures["fabricated answers"]["failures"] == 0
    assert figures["wrong facts"]["failures"] == 20


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["show", "nothing"], NotFound),
        (ask("nothing"), NotFound),
        (["run", "pii", "--flow", "flows/none", "--input", "question", "--output", "output"], NotFound),
        (["run", "pii", "--flow", "flows/qa", "--input", "q", "--output", "output"], UserError),
    ],
)
def test_mistakes_are_refused(call, arguments: list[str], error: type[Exception]) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(call(*arguments).exception, error)
