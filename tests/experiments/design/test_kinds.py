"""Axes of flex flows and prompties: the same words, the same mechanism."""

from __future__ import annotations

import pytest

from pilothouse.core.errors import ConfigError

from .conftest import EXPERIMENT, Lab

CLASS = """\
class Shouter:
    def __init__(self, times: int = 1, mark: str = "!") -> None:
        self.times = times
        self.mark = mark

    def __call__(self, text: str, top_k: int = 3) -> dict:
        from pathlib import Path

        with Path(__file__).parents[2].joinpath("calls.log").open("a") as log:
            log.write("x")
        return {"label": text + self.mark * self.times, "k": top_k}
"""

PROMPTY = """\
---
name: Say
model:
  api: chat
  configuration: {connection: counted}
  parameters: {model: small, temperature: 0}
inputs:
  text: {type: string}
outputs:
  output: {type: string}
---
user:
Say it: {{text}}
"""


@pytest.fixture
def flex(lab: Lab) -> Lab:
    lab.write("flows/loud/flow.flex.yaml", "entry: loud:Shouter\n")
    lab.write("flows/loud/loud.py", CLASS)
    lab.experiment("", EXPERIMENT.replace("flows/two", "flows/loud"))
    return lab


@pytest.fixture
def prompty(lab: Lab) -> Lab:
    lab.write("flows/say/say.prompty", PROMPTY)
    lab.experiment(
        "", EXPERIMENT.replace("flows/two", "flows/say/say.prompty").replace("outputs.label", "outputs.output")
    )
    return lab


def text(lab: Lab) -> str:
    return (lab.root / "experiment.yaml").read_text()


def test_arguments_and_inputs_of_a_flex_flow(flex: Lab) -> None:
    flex.experiment("axes: {init.times: [0, 2], inputs.top_k: [3, 5]}\n", text(flex))
    found = flex.run()
    arms = {arm["variant"]["name"]: arm["estimates"]["accuracy"]["value"] for arm in found["comparison"]["arms"]}
    assert arms == {"times=0+top_k=3": 0.75, "times=0+top_k=5": 0.75, "times=2+top_k=3": 0.0, "times=2+top_k=5": 0.0}
    calls = len((flex.root / "calls.log").read_text())
    flex.experiment("axes: {init.times: [0, 2, 4], inputs.top_k: [3, 5]}\n", text(flex).split("axes")[0])
    assert (calls, flex.run()["rows_before"]) == (16, 16)
    assert len((flex.root / "calls.log").read_text()) == 24


def test_parameters_of_a_prompty(prompty: Lab) -> None:
    prompty.experiment("axes: {parameters.temperature: [0.0, 0.9], parameters.model: [small, large]}\n", text(prompty))
    found = prompty.run()
    names = [arm["variant"]["name"] for arm in found["comparison"]["arms"]]
    assert names == ["t=0.0+small", "t=0.0+large", "t=0.9+small", "t=0.9+large"]
    assert {(request["model"], request["temperature"]) for request in prompty.server.requests} == {
        ("small", 0.0),
        ("small", 0.9),
        ("large", 0.0),
        ("large", 0.9),
    }
    assert len(prompty.server.requests) == 16


def test_the_model_that_a_prompty_describes_itself(prompty: Lab) -> None:
    address = f"http://127.0.0.1:{prompty.server.server_address[1]}/v1"
    own = PROMPTY.replace("{connection: counted}", "{type: openai, base_url: 'http://127.0.0.1:9/v1', api_key: none}")
    prompty.write("flows/say/say.prompty", own)
    prompty.experiment(f"axes: {{configuration.base_url: ['{address}']}}\n", text(prompty))
    found = prompty.run()
    assert (found["failed"], len(prompty.server.requests)) == (0, 4)


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("init.tims: [1]", ["takes no 'tims'", "did you mean 'times'"]),
        ("init.times: [often]", ["'times' is 'often'", "int"]),
        ("loud.text: [1]", ["has no 'loud'", "inputs"]),
        ("inputs.topk: [1]", ["did you mean 'top_k'"]),
    ],
)
def test_a_setting_that_a_flex_flow_does_not_have(flex: Lab, axis: str, words: list[str]) -> None:
    flex.experiment(f"axes:\n  {axis}\n", text(flex))
    said = flex.call("plan", "experiment.yaml").exception
    assert isinstance(said, ConfigError)
    assert all(word in str(said) for word in ["experiment.yaml:9", *words]), str(said)


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("parameters.temprature: [1]", ["did you mean 'temperature'"]),
        ("parameters.temperature: [hot]", ["'temperature' is 'hot'"]),
        ("configuration.conection: [a]", ["did you mean 'connection'"]),
        ("answer.temperature: [1]", ["a prompty has no 'answer'", "parameters"]),
    ],
)
def test_a_setting_that_a_prompty_does_not_have(prompty: Lab, axis: str, words: list[str]) -> None:
    prompty.experiment(f"axes:\n  {axis}\n", text(prompty))
    said = prompty.call("plan", "experiment.yaml").exception
    assert isinstance(said, ConfigError)
    assert all(word in str(said) for word in ["experiment.yaml:9", *words]), str(said)


def test_a_tool_of_ones_own_and_the_file_of_a_node(lab: Lab) -> None:
    lab.write(
        "flows/two/flow.dag.yaml",
        "inputs: {text: {type: string}}\n"
        "outputs: {label: {type: string, reference: '${cut.output}'}}\n"
        "nodes:\n  - {name: cut, type: python, source: {type: code, path: cut.py}, inputs: {text: '${inputs.text}'}}\n",
    )
    lab.write(
        "flows/two/cut.py",
        "from pilothouse import tool\n@tool\ndef cut(text: str, most: int = 9) -> str:\n    return text[:most]\n",
    )
    lab.write(
        "flows/two/same.py",
        "from pilothouse import tool\n@tool\ndef same(text: str, most: int = 9) -> str:\n    return text\n",
    )
    lab.experiment("axes: {cut.most: [9, 1], cut.source: [cut.py, same.py]}\n")
    arms = lab.run()["comparison"]["arms"]
    assert {arm["variant"]["name"]: arm["estimates"]["accuracy"]["value"] for arm in arms} == {
        "most=9+cut": 0.75,
        "most=9+same": 0.75,
        "most=1+cut": 0.0,
        "most=1+same": 0.75,
    }
    for axis, words in (("cut.mst: [1]", "did you mean 'most'"), ("cut.most: [many]", "not of the type int")):
        lab.experiment(f"axes:\n  {axis}\n")
        said = str(lab.call("plan", "experiment.yaml").exception)
        assert "experiment.yaml:9" in said
        assert words in said
