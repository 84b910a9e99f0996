"""Axes, designs and the names of arms; what an axis may not say, and where the message points."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.design.axes import Range
from pilothouse.experiments.design.levels import read_axes
from pilothouse.experiments.design.variants import Sample, expand

from .conftest import Lab

SPACE = {"ask": ("zero", "few")}


def where(*keys: Any) -> str:
    return ".".join(map(str, keys))


def arms(axes: dict[str, Any], design: Any = "grid", wanted: Any = "all", **options: Any) -> list[str]:
    return [arm.name for arm in expand(SPACE, wanted, design, where, read_axes(axes, where), **options)]


def test_a_grid_is_every_combination_of_variants_and_settings() -> None:
    assert arms({"answer.temperature": [0.0, 0.7]}) == ["zero+t=0.0", "zero+t=0.7", "few+t=0.0", "few+t=0.7"]
    found = expand(SPACE, [], "grid", where, read_axes({"answer.temperature": [0.0, 0.7]}, where))
    assert [arm.name for arm in found] == ["t=0.0", "t=0.7"]
    assert [arm.content for arm in found] == [
        {"ask": "zero", "answer.temperature": 0.0},
        {"ask": "zero", "answer.temperature": 0.7},
    ]


def test_one_change_at_a_time_begins_with_the_defaults() -> None:
    axes = {"answer.temperature": [0.0, 0.7, 1.0], "answer.model": ["small", "large"]}
    assert arms(axes, "one-factor") == ["defaults", "few", "t=0.7", "t=1.0", "large"]
    assert arms({"answer.model": ["small", "large"]}, "one-factor", []) == ["small", "large"]


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ({"a.prompt": ["x.jinja2", "y.jinja2"]}, ["x", "y"]),
        ({"a.prompt": ["one/x.jinja2", "two/x.jinja2"]}, ["one/x.jinja2", "two/x.jinja2"]),
        ({"inputs.rules": ["A long text that nobody would read in a table of arms.", "short"]}, ["rules#1", "short"]),
        ({"inputs.filter": [None, True, [1], {"a": 1}]}, ["filter=null", "filter=true", "filter#3", "filter#4"]),
        ({"a.model": ["m1", "m2"], "b.model": ["m1", "m2"]}, ["a.model=m1+b.model=m1", "a.model=m1+b.model=m2"]),
        ({"safety": {"strict": {"a.policy": 1}, "lax": {"a.policy": 2}}}, ["strict", "lax"]),
        ({"ask": ["few", "zero"]}, ["few", "zero"]),
        ({"how": {"one": {"ask": "few", "a.temperature": 1}, "two": {"ask": "zero"}}}, ["one", "two"]),
        ({"inputs.k": [3]}, ["default"]),
    ],
)
def test_names_are_short_and_told_apart(axes: dict[str, Any], names: list[str]) -> None:
    assert arms(axes, wanted="all" if "ask" in str(axes) else [])[: len(names)] == names or names == ["default"]
    found = arms(axes)
    assert len(set(found)) == len(found)


def test_named_variants_are_an_axis_beside_others_and_may_have_settings() -> None:
    wanted = {"old": {}, "hot": {"ask": "few", "answer.temperature": 1.0}}
    found = expand(SPACE, wanted, "grid", where, read_axes({"inputs.k": [3, 10]}, where))
    assert [arm.name for arm in found] == ["old+k=3", "old+k=10", "hot+k=3", "hot+k=10"]
    assert found[3].content == {"ask": "few", "answer.temperature": 1.0, "inputs.k": 10}
    assert [arm.settings for arm in expand(SPACE, wanted, "grid", where)] == [{}, {"answer.temperature": 1.0}]


def test_a_sample_is_distinct_repeatable_and_has_the_baseline_in_it() -> None:
    axes = {
        "a.temperature": {"low": 0, "high": 2},
        "inputs.k": {"low": 1, "high": 100, "log": True, "integer": True, "first": 5},
        "a.model": ["small", "large"],
    }
    found = expand(SPACE, "all", "sample", where, read_axes(axes, where), Sample(size=20, seed=3))
    again = expand(SPACE, "all", "sample", where, read_axes(axes, where), Sample(size=20, seed=3))
    other = expand(SPACE, "all", "sample", where, read_axes(axes, where), Sample(size=20, seed=4))
    assert found == again != other
    assert found[0].name == "zero+t=default+k=5+small"
    assert found[0].settings == {"inputs.k": 5, "a.model": "small"}
    assert len({arm.name for arm in found}) == len({str(arm.content) for arm in found}) == 20
    assert all(0 <= arm.settings["a.temperature"] <= 2 for arm in found[1:])
    assert all(isinstance(arm.settings["inputs.k"], int) and 1 <= arm.settings["inputs.k"] <= 100 for arm in found)
    # The name tells the drawn value exactly.
    assert all(f"t={arm.settings['a.temperature']:g}" in arm.name for arm in found[1:])
    assert {arm.choices["ask"] for arm in found} == {"zero", "few"}


def test_a_logarithmic_range_gives_each_order_of_magnitude_its_share() -> None:
    axes = read_axes({"a.rate": {"low": 0.001, "high": 10, "log": True}}, where)
    found = expand({}, "all", "sample", where, axes, Sample(size=400))
    small = sum(arm.settings.get("a.rate", 1) < 0.1 for arm in found)
    assert 150 < small < 250


def test_steps_begin_at_the_lower_bound() -> None:
    axes = read_axes({"inputs.k": {"low": 2, "high": 9, "step": 3, "integer": True}}, where)
    found = expand({}, "all", "sample", where, axes, Sample(size=4))
    assert {arm.settings.get("inputs.k") for arm in found} == {None, 2, 5, 8}


@pytest.mark.parametrize(
    "fault",
    [
        Range(low=1, high=1),
        Range(low=0, high=1, log=True),
        Range(low=0, high=1, step=2),
        Range(low=1, high=2, log=True, step=0.5),
        Range(low=0.5, high=2, integer=True),
        Range(low=0, high=float("inf")),
    ],
)
def test_a_range_that_cannot_be_drawn_from_says_why(fault: Range) -> None:
    assert fault.fault() is not None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("axes: {}\ndesign: sample\n", ["experiment.yaml:9", "a sample needs a size"]),
        ("sample: {size: 3}\n", ["experiment.yaml:8", "the design draws none", "design: sample"]),
        ("axes:\n  answer.temperature: [0, 0.0]\n", ["experiment.yaml:9", "'t=0.0' is the same level as 't=0'"]),
        ("axes:\n  answer.temperature: []\n", ["experiment.yaml:9", "has no level"]),
        ("axes:\n  anwser.temperature: [0]\n", ["experiment.yaml:9", "no 'anwser'", "did you mean 'answer'"]),
        ("axes:\n  answer.temprature: [0, 1]\n", ["experiment.yaml:9", "did you mean 'temperature'"]),
        ("axes:\n  answer.temperature: [0, hot]\n", ["experiment.yaml:9", "'temperature' is 'hot'", "double"]),
        ("axes:\n  answer.prompt: [answer.jinja2, anser.jinja2]\n", ["experiment.yaml:9", "anser.jinja2"]),
        ("axes:\n  inputs.topk: [3]\n", ["experiment.yaml:9", "did you mean 'top_k'"]),
        ("axes:\n  inputs.top_k:\n    - 3\n    - many\n", ["experiment.yaml:11", "'top_k' is 'many'", "int"]),
        ("axes:\n  init.x: [3]\n", ["experiment.yaml:9", "nothing is made of a class here"]),
        ("axes:\n  answer: [zero]\n", ["experiment.yaml:9", "no variants of a node 'answer'"]),
        ("axes:\n  hot:\n    a: {answer.temperature: 1}\n    b: 2\n", ["experiment.yaml:11", "the level 'b'"]),
        (
            "axes:\n  hot:\n    a: {answer.temperature: 1}\n    b: {answer.tempratur: 2}\n",
            ["experiment.yaml:11", "did you mean 'temperature'"],
        ),
        (
            "axes:\n  answer.temperature: [0, 1]\n  hot:\n    a: {answer.temperature: 1}\n",
            ["experiment.yaml:10", "both set 'answer.temperature'"],
        ),
        ("axes:\n  answer.temperature: {low: 0, high: 1}\n", ["experiment.yaml:9", "is a range", "design: sample"]),
        ("axes:\n  answer.temperature: {low: 0, hihg: 1}\n", ["experiment.yaml:9", "did you mean 'high'"]),
        (
            "axes:\n  answer.temperature: [0, 1]\n  inputs.top_k: [1, 2]\ndesign: sample\nsample: {size: 9}\n",
            ["experiment.yaml:12", "only 4 combinations"],
        ),
        (
            f"axes:\n  inputs.top_k: {list(range(30))}\n  answer.max_tokens: {list(range(1, 31))}\n",
            ["900 combinations", "at most 500", "design: sample"],
        ),
        ("axes:\n  answer.connection: [counted, cuonted]\n", ["cuonted"]),
    ],
)
def test_a_mistake_names_file_line_and_cure(lab: Lab, more: str, words: list[str]) -> None:
    lab.experiment(more)
    result = lab.call("plan", "experiment.yaml")
    assert result.exception is not None
    said = str(result.exception)
    assert all(word in said for word in words), said
    assert lab.server.requests == []


def test_an_unknown_axis_of_a_node_variant_is_told() -> None:
    with pytest.raises(ConfigError, match="the node 'ask' has no variant 'fwe'"):
        arms({"ask": ["zero", "fwe"]})
