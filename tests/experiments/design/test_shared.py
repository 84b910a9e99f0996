"""What is run once: shared prefixes of arms, rows that have their answer, scores of an evaluator that changed."""

from __future__ import annotations

import asyncio
import json

import pytest

from pilothouse.core.errors import Interrupted
from pilothouse.experiments.arms import ExperimentProgress
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.service import ExperimentService

from .conftest import Lab


def test_arms_that_differ_in_the_second_node_ask_the_first_nodes_model_once_a_row(lab: Lab) -> None:
    lab.experiment("axes:\n  answer.temperature: [0.0, 0.7]\n  answer.prompt: [answer.jinja2, short.jinja2]\n")
    found = lab.run()
    assert [arm["variant"]["name"] for arm in found["comparison"]["arms"]] == [
        "t=0.0+answer",
        "t=0.0+short",
        "t=0.7+answer",
        "t=0.7+short",
    ]
    assert (lab.server.asked("small"), lab.server.asked("large")) == (4, 16)
    assert sorted({request["temperature"] for request in lab.server.requests if request["model"] == "large"}) == [
        0,
        0.7,
    ]
    texts = {request["messages"][-1]["content"].split(":")[0] for request in lab.server.requests}
    assert texts == {"Draft with 3 documents", "Say it", "Shortly"}


def test_repeats_have_answers_of_their_own_and_arms_still_share_them(lab: Lab) -> None:
    lab.experiment("repeats: 3\naxes:\n  answer.model: [large, huge]\n")
    lab.run()
    assert [lab.server.asked(model) for model in ("small", "large", "huge")] == [12, 12, 12]


def test_an_input_of_the_flow_reaches_every_node_that_reads_it(lab: Lab) -> None:
    lab.experiment("axes:\n  inputs.top_k: [3, 10]\n")
    lab.run()
    drafts = [request["messages"][-1]["content"] for request in lab.server.requests if request["model"] == "small"]
    assert sum("with 10 documents" in text for text in drafts) == 4
    # The drafts came out the same, so the second node had nothing new to ask.
    assert (lab.server.asked("small"), lab.server.asked("large")) == (8, 4)


def test_a_changed_evaluator_scores_again_without_a_call(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\n")
    lab.run()
    lab.server.forget()
    lab.write("judges.py", "def length(label):\n    return len(label)\n")
    lab.experiment(
        "axes: {answer.temperature: [0.0, 0.7]}\n",
        lab.root.joinpath("experiment.yaml").read_text().split("resamples")[0]
        + "  - {use: judges.py:length, column_mapping: {label: '${run.outputs.label}'}}\nresamples: 200\n",
    )
    found = lab.run()
    assert found["comparison"]["arms"][1]["estimates"]["length"]["value"] == 6.75
    lab.write("judges.py", "def length(label):\n    return 2 * len(label)\n")
    assert lab.run()["comparison"]["arms"][1]["estimates"]["length"]["value"] == 13.5
    assert lab.server.requests == []


def test_only_failed_rows_are_tried_again(lab: Lab) -> None:
    lab.experiment("axes: {draft.temperature: [0.0, 0.7]}\n")
    lab.server.broken = True
    first = lab.call("run", "experiment.yaml", "--json")
    assert first.return_value == 1
    assert json.loads(first.stdout)["failed"] == 2
    lab.server.broken = False
    lab.server.forget()
    again = lab.run()
    assert (again["failed"], again["rows_before"], again["rows"]) == (0, 6, 8)
    assert lab.server.asked("small") == 2


def test_another_axis_takes_the_arms_that_were_run_before(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\n")
    lab.run()
    lab.server.forget()
    lab.experiment("axes: {answer.temperature: [0.0, 0.7, 1.0]}\n")
    found = lab.run()
    assert (found["rows_before"], lab.server.asked("small"), lab.server.asked("large")) == (8, 0, 4)


def test_the_run_of_an_arm_can_be_opened_and_run_again(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7], inputs.top_k: [10]}\n")
    name = lab.run()["record"]["runs"][1]["run"]
    run = lab.services.get(RunService).get(name)
    assert run.spec.connections == {"answer": {"temperature": 0.7}}
    assert run.spec.column_mapping == {"text": "${data.text}", "top_k": 10}
    shown = lab.call("show", "lab")
    assert "answer.temperature=0.7, inputs.top_k=10" in " ".join(shown.stdout.replace("│", "").split())
    facts = json.loads(lab.call("show", "lab", "--json").stdout)["comparison"]["facts"]
    assert facts["settings"].startswith("t=0.0: answer.temperature=0.0, inputs.top_k=10; t=0.7: ")


def test_an_arm_that_changes_nothing_is_the_flow_itself(lab: Lab) -> None:
    lab.run()
    lab.server.forget()
    lab.experiment(
        "axes: {answer.prompt: [answer.jinja2, short.jinja2], draft.connection: [counted], answer.temperature: [0.0]}\n"
    )
    found = lab.run()
    assert (found["rows_before"], lab.server.asked("small"), lab.server.asked("large")) == (4, 0, 4)


def test_a_stopped_experiment_goes_on_with_the_arms_that_are_left(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7, 1.0]}\n")
    stop = Stop()

    def ask(seen: ExperimentProgress) -> None:
        if seen.position == 1 and seen.phase == "scoring":
            stop.ask()

    with pytest.raises(Interrupted):
        asyncio.run(lab.services.get(ExperimentService).run(lab.root / "experiment.yaml", on_progress=ask, stop=stop))
    done = lab.server.asked("large")
    assert done == 8
    found = lab.run()
    assert (found["record"]["status"], found["rows_before"], lab.server.asked("large")) == ("completed", 8, 12)
    assert [link["variant"]["settings"] for link in found["record"]["runs"]] == [
        {"answer.temperature": 0.0},
        {"answer.temperature": 0.7},
        {"answer.temperature": 1.0},
    ]


def test_rows_that_the_cache_answered_are_timed_by_runs_of_the_same_settings(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\n")
    first, second = (arm["latency"] for arm in lab.run()["comparison"]["arms"])
    # The second arm took its drafts from the cache: nobody knows yet how long its rows take by themselves.
    assert (first["n"] - first["unknown"], second["unknown"]) == (4, 4)
