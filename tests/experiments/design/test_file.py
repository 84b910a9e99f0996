"""The experiment file: what it may say, and what it is told when it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import ConfigError, NotFound
from pilothouse.experiments.design.file import Overrides, read_file, resolve
from pilothouse.experiments.types import Experiment

SPACE = {"classify": ("zero", "few")}

GOOD = """\
name: sms
flow: flow
data: rows.csv
column_mapping: {text: '${data.text}'}
baseline: few
evaluators:
  - name: label
    use: classification
    column_mapping: {prediction: '${run.outputs.label}', truth: '${data.label}'}
  - use: judges.py:length
primary: accuracy
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab/flow").mkdir(parents=True)
    (tmp_path / "lab/rows.csv").write_text("text,label\na,b\n")
    (tmp_path / "lab/judges.py").write_text("def length(x): return len(x)\n")
    return tmp_path / "lab"


def load(folder: Path, text: str = GOOD, overrides: Overrides | None = None) -> Experiment:
    path = folder / "experiment.yaml"
    path.write_text(text)
    file, document = read_file(path)
    return resolve(file, document, SPACE, folder.parent, overrides)


def test_paths_are_relative_to_the_file_and_kept_relative_to_the_project(folder: Path) -> None:
    found = load(folder)
    assert (found.flow, found.data, found.path) == ("lab/flow", "lab/rows.csv", "lab/experiment.yaml")
    assert [use.spec.source for use in found.evaluators] == ["classification", "lab/judges.py:length"]
    assert [use.spec.name for use in found.evaluators] == ["label", "length"]
    assert (found.baseline, [arm.name for arm in found.variants]) == ("few", ["zero", "few"])


def test_what_is_not_said_has_its_default(folder: Path) -> None:
    found = load(folder, GOOD.replace("baseline: few\n", "").replace("primary: accuracy\n", ""))
    assert (found.baseline, found.primary, found.alpha, found.resamples, found.seed) == ("zero", None, 0.05, 5000, 7)
    assert (found.design, found.repeats, found.concurrency, found.limit) == ("grid", 1, None, None)


def test_the_command_line_wins_over_the_file(folder: Path) -> None:
    own = folder.parent / "own.jsonl"
    own.write_text("{}\n")
    said = Overrides(
        data="own.jsonl",
        column_mapping={"text": "${data.body}", "label.truth": "${data.kind}"},
        limit=5,
        folder=folder.parent,
    )
    found = load(folder, GOOD + "id_column: label\n", said)
    assert (found.data, found.limit, found.id_column) == ("own.jsonl", 5, None)
    assert found.column_mapping == {"text": "${data.body}"}
    assert found.evaluators[0].column_mapping == {"prediction": "${run.outputs.label}", "truth": "${data.kind}"}
    assert load(folder, GOOD, Overrides(data="dataset:sms@golden")).data == "dataset:sms@golden"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("baseline: few", "basline: few", ["experiment.yaml:5", "unknown key 'basline'", "did you mean 'baseline'"]),
        ("    use: classification", "    uses: x", ["experiment.yaml:8", "unknown key 'uses'", "'use'"]),
        ("name: sms", "name: 'a/b'", ["experiment.yaml:1", "'a/b' cannot be a name"]),
        ("flow: flow", "flow: flwo", ["experiment.yaml:2", "there is no 'flwo'"]),
        ("data: rows.csv", "data: row.csv", ["experiment.yaml:3", "there is no 'row.csv'"]),
        (
            "baseline: few",
            "baseline: fwe",
            ["experiment.yaml:5", "no variant of this experiment", "did you mean 'few'"],
        ),
        ("judges.py:length", "judge.py:length", ["experiment.yaml:10", "there is no 'judge.py'"]),
        ("name: label", "name: length", ["experiment.yaml:10", "two evaluators are called 'length'"]),
        ("primary: accuracy", "alpha: 5", ["experiment.yaml:11", "alpha"]),
        ("primary: accuracy", "alpha: '0.05'", ["experiment.yaml:11", "alpha"]),
        ("primary: accuracy", "resamples: 10", ["experiment.yaml:11", "resamples"]),
        ("primary: accuracy", "repeats: 0", ["experiment.yaml:11", "repeats"]),
        ("primary: accuracy", "design: half", ["experiment.yaml:11", "design"]),
        ("primary: accuracy", "name: again", ["experiment.yaml:11", "stands twice"]),
        ("flow: flow\n", "", ["flow"]),
    ],
)
def test_a_mistake_names_file_line_and_cure(folder: Path, old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(folder, GOOD.replace(old, new))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_braces_within_braces_are_explained(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, GOOD.replace("{text: '${data.text}'}", "{text: ${data.text}}"))
    assert "experiment.yaml:4" in str(caught.value)
    assert "put quotes around" in str(caught.value)


def test_named_variants_and_a_design_contradict_each_other(folder: Path) -> None:
    with pytest.raises(ConfigError, match="`design` has nothing to combine"):
        load(folder, GOOD + "variants: {few: {classify: few}}\ndesign: grid\n")


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is a mapping"):
        load(folder, text)


def test_an_experiment_without_a_judge_is_refused(folder: Path) -> None:
    head, _, tail = GOOD.partition("evaluators:")
    with pytest.raises(ConfigError, match="nothing to judge by"):
        load(folder, head + "evaluators: []\n" + tail[tail.index("primary") :])


def test_a_mapping_for_an_unknown_evaluator_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        load(folder, GOOD, Overrides(column_mapping={"labl.truth": "${data.x}"}))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no such file"):
        read_file(tmp_path / "none.yaml")
