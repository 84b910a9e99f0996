"""The template's experiment becomes files of ours that plan and run; what has no counterpart is listed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError, Conflict, NotFound
from pilothouse.experiments.migration.conversion import Conversion, convert_template, write_files
from pilothouse.experiments.migration.template import read_template_file
from pilothouse.experiments.service import ExperimentService

from .projects import EVALUATION, EXPERIMENT, template_project, write


def converted(folder: Path, environment: str | None = None) -> Conversion:
    return convert_template(read_template_file(folder / "experiment.yaml", environment), folder / "new.yaml")


def edited(folder: Path, old: str, new: str) -> Path:
    template_project(folder)
    assert old in EXPERIMENT
    return write(folder, {"experiment.yaml": EXPERIMENT.replace(old, new)})


def test_each_data_set_becomes_a_file_with_its_evaluators(tmp_path: Path) -> None:
    conversion = converted(template_project(tmp_path))
    assert [file.path.name for file in conversion.files] == ["new-train.yaml", "new-held_out.yaml"]
    assert conversion.files[0].content == {
        "name": "ner-train",
        "description": "Rows to learn from.",
        "flow": "flows/standard",
        "data": "data/train.jsonl",
        "column_mapping": {"text": "${data.text}"},
        "variants": "all",
        "design": "one-factor",
        "evaluators": [
            {
                "name": "exact",
                "use": "flows/evaluation",
                "column_mapping": {"label": "${run.outputs.label}", "truth": "${data.truth}"},
            }
        ],
    }
    assert conversion.files[1].content["data"] == "new-held_out-data.jsonl"
    assert conversion.files[1].content["evaluators"][0]["column_mapping"]["truth"] == "${data.gold}"
    assert [(file.path.name, file.rows) for file in conversion.data] == [
        ("new-held_out-data.jsonl", [{"gold": "ham", "text": "ham", "truth": "ham"}])
    ]


def test_nothing_is_dropped_without_a_line(tmp_path: Path) -> None:
    listed = "\n".join(converted(edited(tmp_path, "runtime: compute-1", "runtime: compute-1\n    colour: red")).listed)
    assert "'colour' means nothing here" in listed
    assert "runtime 'compute-1'" in listed
    assert "connection 'aoai': pilothouse migrate connections --from experiment.yaml" in listed
    assert (
        "'data/truths.csv' and 'held_out.csv' are joined by their rows' places into new-held_out-data.jsonl" in listed
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("gold\nham\nspam\n", "it has 2 rows, the data of the run 1"),
        ("silver\nham\n", "its row 1 has no 'gold'"),
        (None, "there is no such file"),
    ],
)
def test_rows_that_do_not_pair_leave_the_evaluator_out_with_the_reason(
    tmp_path: Path, rows: str | None, reason: str
) -> None:
    template_project(tmp_path)
    (tmp_path / "data" / "truths.csv").unlink()
    if rows is not None:
        write(tmp_path, {"data/truths.csv": rows})
    conversion = converted(tmp_path)
    listed = "\n".join(conversion.listed)
    assert "evaluator 'exact' was left out for 'held_out', because 'data/truths.csv' cannot be joined" in listed
    assert reason in listed
    assert "data set 'held_out': no evaluator judges it" in listed
    assert conversion.data == ()


def test_a_column_of_both_files_must_agree(tmp_path: Path) -> None:
    edited(tmp_path, "${data.gold}", "${data.text}")
    write(tmp_path, {"data/truths.csv": "text\nspam\n"})
    assert "'text' of row 1 differs from that of the run's data" in "\n".join(converted(tmp_path).listed)


def test_an_experiment_in_a_folder_of_its_own_starts_from_the_project(tmp_path: Path) -> None:
    template_project(tmp_path)
    (tmp_path / "second").mkdir()
    (tmp_path / "experiment.yaml").rename(tmp_path / "second" / "experiment.yaml")
    content = converted(tmp_path / "second").files[0].content
    assert (content["flow"], content["data"]) == ("../flows/standard", "../data/train.jsonl")


def test_an_evaluator_of_texts_alone_is_named(tmp_path: Path) -> None:
    template_project(tmp_path)
    write(tmp_path, {"flows/evaluation/flow.dag.yaml": EVALUATION.replace("type: bool", "type: string")})
    assert "'exact' declares no output that is a number or a boolean (grade)" in "\n".join(converted(tmp_path).listed)


def test_an_overlay_replaces_blocks_as_a_whole(tmp_path: Path) -> None:
    conversion = converted(template_project(tmp_path), "pr")
    assert [file.path.name for file in conversion.files] == ["new.yaml"]
    assert conversion.files[0].content["name"] == "ner"
    assert conversion.files[0].content["evaluators"] == [{"name": "latency", "use": "latency"}]


def test_an_overlay_cannot_change_name_or_flow(tmp_path: Path) -> None:
    write(template_project(tmp_path), {"experiment.dev.yaml": "name: other\nflow: elsewhere\n"})
    conversion = converted(tmp_path, "dev")
    assert conversion.files[0].content["flow"] == "flows/standard"
    assert "experiment.dev.yaml:1: 'name' (never taken from an overlay) means nothing here" in "\n".join(
        conversion.listed
    )


def test_data_in_azure_is_named_by_its_data_set(tmp_path: Path) -> None:
    conversion = converted(edited(tmp_path, "source: data/train.jsonl", "source: azureml:rows:3"))
    assert conversion.files[0].content["data"] == "dataset:rows"
    assert "pilothouse dataset add rows FILE" in "\n".join(conversion.listed)


def test_the_flow_is_named_by_default_and_looked_for_below_flows(tmp_path: Path) -> None:
    template_project(tmp_path)
    (tmp_path / "flows" / "standard").rename(tmp_path / "flows" / "ner")
    write(tmp_path, {"experiment.yaml": EXPERIMENT.replace("    flow: flows/standard\n", "")})
    assert converted(tmp_path).files[0].content["flow"] == "flows/ner"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("flow: flows/standard", "flow: nowhere", "there is no flow 'nowhere'"),
        ("reference: held_out", "reference: held", "judges the data set 'held', which does not exist"),
        ("- name: held_out", "- name: train", "two data sets are called 'train'"),
        ("source: held_out.csv", "reference: train", "has no source"),
        ("name: ner", "title: ner", "missing required field `name`"),
    ],
)
def test_what_the_template_refuses_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        converted(edited(tmp_path, old, new))
    assert "experiment.yaml" in str(caught.value.where)


def test_an_overlay_is_not_an_experiment_and_must_exist(tmp_path: Path) -> None:
    template_project(tmp_path)
    with pytest.raises(ConfigError, match=r"experiment.pr.yaml is an overlay of experiment.yaml"):
        read_template_file(tmp_path / "experiment.pr.yaml")
    with pytest.raises(NotFound, match="no overlay for 'prod'"):
        read_template_file(tmp_path / "experiment.yaml", "prod")


def test_no_file_is_written_over(tmp_path: Path) -> None:
    conversion = converted(template_project(tmp_path))
    conversion.files[1].path.write_text("mine")
    with pytest.raises(Conflict):
        write_files(conversion, "experiment.yaml")
    assert not conversion.files[0].path.exists()
    assert conversion.files[1].path.read_text() == "mine"


def test_the_files_run(services: Any) -> None:
    folder = template_project(services.root)
    conversion = convert_template(read_template_file(folder / "experiment.yaml"), folder / "experiments" / "new.yaml")
    write_files(conversion, "experiment.yaml")
    first, second = (file.path for file in conversion.files)
    experiments = services.get(ExperimentService)
    for path in (first, second):
        finding = asyncio.run(experiments.run(path))
        assert finding.failed == 0
        assert [run.variant.name for run in finding.record.runs] == ["short", "long"]


def test_every_combination_can_be_asked_for(tmp_path: Path) -> None:
    template = read_template_file(template_project(tmp_path) / "experiment.yaml")
    designs = {
        design: convert_template(template, tmp_path / "ours.yaml", design=design).files[0].content["design"]
        for design in ("one-factor", "grid")
    }
    assert designs == {"one-factor": "one-factor", "grid": "grid"}
