"""Files that build on others, and what a project's settings say for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.settings import Settings
from pilothouse.core.yaml import load_yaml
from pilothouse.experiments.design.file import read_file
from pilothouse.experiments.design.layers import Layers
from pilothouse.experiments.settings import ExperimentDefaults, ExperimentSettings

from .conftest import Lab

BASE = """\
name: base
flow: ../flow
data: ../rows.csv
alpha: 0.01
column_mapping: {text: '${data.text}', k: 3}
evaluators:
  - {use: exact_match, column_mapping: {prediction: '${run.outputs.label}', truth: '${data.label}'}}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "top.yaml"


def test_mappings_are_merged_lists_replaced_and_null_takes_away(tmp_path: Path) -> None:
    top = write(
        tmp_path,
        base="a: {x: 1, y: 2, z: {p: 1}}\nlist: [1, 2, 3]\nkept: 5\ngone: 7\n",
        middle="extends: base.yaml\na: {y: 20}\n",
        top="extends: middle.yaml\na: {z: {q: 2}}\nlist: [4]\ngone:\n",
    )
    found = Layers.read(top, load_yaml)
    assert found.data == {"a": {"x": 1, "y": 20, "z": {"p": 1, "q": 2}}, "list": [4], "kept": 5}
    assert found.where("a", "x") == f"{tmp_path / 'base.yaml'}:1"
    assert found.where("a", "y") == f"{tmp_path / 'middle.yaml'}:2"
    assert found.where("a", "z", "q") == f"{top}:2"
    assert found.where("list", 0) == f"{top}:3"
    assert found.where("nowhere") == f"{top}:1"


def test_what_was_read_is_not_changed_by_what_is_merged_into_it(tmp_path: Path) -> None:
    seen = []

    def load(path: Path):  # type: ignore[no-untyped-def]
        seen.append(load_yaml(path))
        return seen[-1]

    Layers.read(write(tmp_path, base="a: {x: 1}\n", top="extends: base.yaml\na: {y: 2}\n"), load)
    assert [document.data for document in seen] == [{"extends": "base.yaml", "a": {"y": 2}}, {"a": {"x": 1}}]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"top": "extends: none.yaml\n"}, ["top.yaml:1", "there is no 'none.yaml'"]),
        ({"top": "extends: [a]\n"}, ["top.yaml:1", "extends is ['a']"]),
        ({"top": "extends: base.yaml\n", "base": "- a\n"}, ["base.yaml:1", "is a mapping"]),
        (
            {"top": "x: 1\nextends: base.yaml\n", "base": "extends: other.yaml\n", "other": "extends: top.yaml\n"},
            ["other.yaml:1", "top.yaml -> base.yaml -> other.yaml -> top.yaml"],
        ),
        ({"top": "extends: top.yaml\n"}, ["top.yaml:1", "top.yaml -> top.yaml"]),
    ],
)
def test_a_base_that_cannot_be_one_is_refused(tmp_path: Path, files: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Layers.read(write(tmp_path, **files), load_yaml)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_messages_point_into_the_file_that_says_it(tmp_path: Path) -> None:
    top = write(tmp_path, base=BASE.replace("alpha: 0.01", "alpha: 5"), top="extends: base.yaml\nname: mine\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:4"):
        read_file(top)
    top = write(tmp_path, base=BASE, top="extends: base.yaml\nname: mine\nrepeats: 0\n")
    with pytest.raises(ConfigError, match=r"top\.yaml:3"):
        read_file(top)


def test_paths_are_relative_to_the_file_that_says_them(lab: Lab) -> None:
    text = (lab.root / "experiment.yaml").read_text()
    lab.write("shared/base.yaml", text.replace("flows/", "../flows/").replace("data/rows", "../data/rows"))
    lab.write("experiment.yaml", "extends: shared/base.yaml\nname: mine\naxes: {answer.temperature: [0.0, 1.0]}\n")
    planned = lab.plan()
    assert (planned["name"], [arm["name"] for arm in planned["arms"]]) == ("mine", ["t=0.0", "t=1.0"])


def test_the_project_says_what_files_need_not(tmp_path: Path) -> None:
    (tmp_path / "pilothouse.yaml").write_text("experiments: {defaults: {alpha: 0.2, repeats: 3, concurrency: 2}}\n")
    defaults = Settings.load(tmp_path, Environment({})).section(ExperimentSettings).defaults
    top = write(tmp_path, top=BASE)
    file, _ = read_file(top, defaults)
    assert (file.alpha, file.repeats, file.concurrency, file.seed) == (0.01, 3, 2, 7)
    assert read_file(top, ExperimentDefaults())[0].repeats == 1


def test_a_default_that_cannot_be_one_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pilothouse.yaml").write_text("experiments:\n  defaults:\n    alhpa: 0.2\n")
    with pytest.raises(ConfigError) as caught:
        Settings.load(tmp_path, Environment({}))
    assert "pilothouse.yaml:3" in str(caught.value)
    assert "did you mean 'alpha'" in str(caught.value)
