"""`model compare`: candidates in the flow of an experiment, on its data and by its evaluators."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import ConfigError, ConnectionFault, UserError
from pilothouse.experiments.commands.candidates import compare

from .conftest import Project

OTHER = "name: {name}\ntype: scripted\nscript: {name}.script\nmodel: {model}\n"


@pytest.fixture
def call(project: Project, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(project.root)
    project.write("connections/sharp.yaml", OTHER.format(name="sharp", model="sharp-1"))
    project.write("sharp.script", "- {when: 'tricky|prize', reply: spam}\n- {reply: ham}\n")
    project.write("connections/nameless.yaml", "name: nameless\ntype: scripted\nscript: sharp.script\n")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(compare, list(arguments), obj=project.services, standalone_mode=False)

    return run


def found(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)["comparison"]


def test_candidates_take_the_place_of_the_variants(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    comparison = found(call("experiment.yaml", "-c", "scripted", "-c", "sharp", "-c", "scripted:other", "--json"))

    assert comparison["name"] == "sms-models"
    assert comparison["baseline"] == "scripted"
    accuracies = {arm["variant"]["name"]: arm["estimates"]["accuracy"]["value"] for arm in comparison["arms"]}
    # The baseline's variant of the prompt is asked: the scripted model then misses every tricky row.
    assert accuracies == {"scripted": 0.75, "sharp": 1.0, "scripted.other": 0.75}
    assert comparison["outcome"] == "better"
    assert [model["name"] for model in comparison["models"]] == [
        "scripted/tiny",
        "scripted/sharp-1",
        "scripted/other",
    ]


def test_the_report_shows_trade_offs_and_models(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    result = call("experiment.yaml", "-c", "scripted:llama-3.1-8b", "-c", "sharp")

    assert (result.exception, result.return_value) == (None, 0)
    assert "Llama 3.1 Community Licence" in result.stdout
    page = (project.root / "reports/sms-models/1/report.html").read_text()
    assert "accuracy against latency" in page
    assert 'class="frontier"' in page
    assert "Llama 3.1 Community Licence" in page


def test_again_it_goes_on(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    call("experiment.yaml", "-c", "scripted", "-c", "sharp")
    before = project.calls()
    call("experiment.yaml", "-c", "scripted", "-c", "sharp")

    assert project.calls() == before == 80


def test_the_gate_of_the_file_is_put_aside(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.write(
        "experiment.yaml",
        project.file.read_text() + "gate:\n  variant: few\n  metrics:\n    accuracy: {at_least: 0.9}\n",
    )

    assert found(call("experiment.yaml", "-c", "scripted", "-c", "sharp", "--json"))["outcome"] == "better"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["-c", "sharp"], UserError, "nothing to be compared with"),
        (["-c", "sharp", "-c", "sharp"], UserError, "two candidates are 'sharp'"),
        (["-c", ":tiny", "-c", "sharp"], UserError, "names no connection"),
        (["-c", "shark", "-c", "sharp"], ConnectionFault, "shark"),
        (["-c", "sharp", "-c", "scripted", "--node", "read"], ConfigError, "asks no model"),
    ],
)
def test_what_cannot_be_compared(call, arguments: list[str], error: type[Exception], words: str) -> None:  # type: ignore[no-untyped-def]
    result = call("experiment.yaml", *arguments)

    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    if "shark" in arguments:
        assert "sharp" in str(result.exception)


def test_a_flow_that_asks_no_model(project: Project, call) -> None:  # type: ignore[no-untyped-def]
    project.write("flows/plain/flow.flex.yaml", "entry: plain:answer\n")
    project.write("flows/plain/plain.py", "def answer(text: str) -> dict:\n    return {'label': text}\n")
    project.edit("experiment.yaml", "flow: flows/sms", "flow: flows/plain")
    result = call("experiment.yaml", "-c", "scripted", "-c", "sharp")

    assert isinstance(result.exception, ConfigError)
    assert "axes" in str(result.exception)
