"""Several datasets in one experiment, and rows that are not independent."""

from __future__ import annotations

import json

import pytest

from pilothouse.core.errors import DataError, UserError
from pilothouse.datasets.service import DatasetService
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.experiments.service import ExperimentService
from pilothouse.registry.service import RegistryService

from .conftest import EXPERIMENT, Lab

SEVERAL = """\
datasets:
  standard: data/rows.csv
  test: {data: 'dataset:qa@stable', column_mapping: {text: '${data.question}', label: '${data.answer}'}, limit: 2}
"""


@pytest.fixture
def several(lab: Lab) -> Lab:
    lab.write("qa.csv", "id,question,answer\nq1,what ham,what ham\nq2,which spam,no\nq3,who,who\n")
    lab.services.get(DatasetService).add("qa", "qa.csv", id_column="id")
    lab.services.get(RegistryService).set_alias("dataset", "qa", "stable", 1)
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\n", EXPERIMENT.replace("data: data/rows.csv\n", SEVERAL))
    return lab


def test_one_run_an_arm_is_over_all_rows_and_each_names_its_dataset(several: Lab) -> None:
    several.experiment(
        "axes: {answer.temperature: [0.0, 0.7]}\n",
        EXPERIMENT.replace("data: data/rows.csv\n", SEVERAL).replace("'${data.text}'}", "'${data.text}', top_k: 7}"),
    )
    found = several.run()
    assert found["rows"] == 12
    run = several.services.get(RunService).get(found["record"]["runs"][1]["run"])
    rows = list(several.services.get(RunService).rows(run))
    assert [row.line_id for row in rows] == [
        "standard/0",
        "standard/1",
        "standard/2",
        "standard/3",
        "test/q1",
        "test/q2",
    ]
    assert [row.inputs["text"] for row in rows][-2:] == ["what ham", "which spam"]
    assert found["comparison"]["arms"][0]["estimates"]["accuracy"]["value"] == pytest.approx(4 / 6)


def test_the_name_of_the_dataset_may_be_mapped(several: Lab) -> None:
    text = (several.root / "experiment.yaml").read_text()
    several.write("judges.py", "def is_test(of):\n    return of == 'test'\n")
    several.experiment(
        "",
        text.replace("resamples", "  - {use: judges.py:is_test, column_mapping: {of: '${data.dataset}'}}\nresamples"),
    )
    assert several.run()["comparison"]["arms"][0]["estimates"]["is_test"]["value"] == pytest.approx(2 / 6)


def test_a_run_over_several_datasets_is_made_again_from_its_record(several: Lab) -> None:
    name = several.run()["record"]["runs"][0]["run"]
    runs = several.services.get(RunService)
    spec: RunSpec = runs.get(name).spec
    data = several.services.get(DatasetService).open(spec.data or "")
    assert data.digest == (runs.get(name).data or pytest.fail()).digest
    assert [row.data["dataset"] for row in data] == ["standard"] * 4 + ["test"] * 2
    assert {"text", "label", "dataset", "question"} <= {column.name for column in data.columns}


def test_lineage_leads_from_every_dataset_to_the_experiment_and_back(several: Lab) -> None:
    several.run()
    registry = several.services.get(RegistryService)
    up = {edge.source for edge in registry.lineage("experiment/lab:1", "up")}
    assert {"dataset/qa:1", "data-file/rows:1", "flow/two:1", "evaluator/label:1"} <= up
    assert "experiment/lab:1" in {edge.target for edge in registry.lineage("data-file/rows", "down")}
    datasets = several.services.get(DatasetService)
    serves = datasets.serves(datasets.show("qa"))
    assert (serves.experiments, serves.flows, serves.runs) == (("experiment/lab:1",), ("flow/two:1",), 2)
    assert serves.evaluators == ("evaluator/label:1",)
    shown = " ".join(several.call("show", "lab").stdout.split())
    assert "data standard" in shown
    assert "dataset:qa@stable" in shown


def test_rows_option_is_of_each_dataset(several: Lab) -> None:
    assert json.loads(several.call("plan", "experiment.yaml", "--rows", "1", "--json").stdout)["rows"] == 2
    own = json.loads(several.call("plan", "experiment.yaml", "--data", "data/rows.csv", "--json").stdout)
    assert own["rows"] == 4


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("datasets:", "data: data/rows.csv\ndatasets:", ["cannot both name the rows"]),
        (SEVERAL, "", ["the experiment names no rows"]),
        ("standard: data/rows.csv", "standard: data/row.csv", ["experiment.yaml:4", "there is no 'data/row.csv'"]),
        ("standard:", "a/b:", ["experiment.yaml:4", "'a/b' cannot be a name"]),
        ("limit: 2", "limt: 2", ["experiment.yaml", "did you mean 'limit'"]),
        ("data.question", "data.qestion", ["wants ${data.qestion}", "did you mean 'question'"]),
        ("qa@stable", "qb@stable", ["no dataset 'qb'"]),
    ],
)
def test_a_mistake_in_datasets_is_told(several: Lab, old: str, new: str, words: list[str]) -> None:
    text = (several.root / "experiment.yaml").read_text()
    assert old in text
    several.experiment("", text.replace(old, new))
    result = several.call("plan", "experiment.yaml")
    assert isinstance(result.exception, UserError)
    assert all(word in str(result.exception) for word in words), str(result.exception)


def test_a_column_of_that_name_is_not_overwritten(several: Lab) -> None:
    several.write("data/rows.csv", "text,label,dataset\na,b,c\n")
    result = several.call("plan", "experiment.yaml")
    assert isinstance(result.exception, DataError)
    assert "have a column 'dataset'" in str(result.exception)


# Rows that are not independent


def test_rows_of_one_cluster_are_counted_once(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\n")
    alone = lab.run()["comparison"]["arms"][0]["estimates"]["accuracy"]
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\ncluster: user\n")
    found = lab.run()
    shared = found["comparison"]["arms"][0]["estimates"]["accuracy"]
    # u1, u2, and the row without a user stands for itself.
    assert (alone["clusters"], shared["clusters"], shared["value"]) == (None, 3, alone["value"])
    assert (found["record"]["number"], found["rows_before"]) == (2, 8)
    assert found["comparison"]["comparisons"][0]["difference"]["clusters"] == 3
    assert found["comparison"]["facts"]["not independent"] == "rows of the same user"


def test_repeats_of_a_cluster_stay_in_it(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0]}\ncluster: user\nrepeats: 2\n")
    found = lab.run()["comparison"]["arms"][0]["estimates"]["accuracy"]
    assert (found["n"], found["clusters"]) == (8, 3)


def test_gates_see_the_same_clusters(lab: Lab) -> None:
    gate = "gate:\n  metrics: {accuracy: {at_least: 0.1}}\n"
    lab.experiment(f"axes: {{answer.temperature: [0.0]}}\ncluster: user\n{gate}")
    lab.run()
    rules = json.loads(lab.call("gate", "lab", "--json").stdout)["rules"]
    assert rules[0]["estimate"]["clusters"] == 3


def test_runs_of_an_experiment_are_compared_with_its_clusters(lab: Lab) -> None:
    lab.experiment("axes: {answer.temperature: [0.0, 0.7]}\ncluster: user\n")
    runs = [link["run"] for link in lab.run()["record"]["runs"]]
    found = json.loads(lab.call("compare", *runs, "--json").stdout)
    assert found["arms"][0]["estimates"]["accuracy"]["clusters"] == 3


def test_a_cluster_that_is_no_column_is_told(lab: Lab) -> None:
    lab.experiment("cluster: usr\n")
    result = lab.call("plan", "experiment.yaml")
    assert "experiment.yaml:8" in str(result.exception)
    assert "did you mean 'user'" in str(result.exception)
    assert isinstance(lab.services.get(ExperimentService), ExperimentService)
