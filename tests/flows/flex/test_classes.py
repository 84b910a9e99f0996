"""Classes as flex flows: made once, of what the file, the sample or the run gives; aggregated at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import ConnectionFault, FlowError, UserCodeError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult, NodeResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

from ..building import FakeModels, aggregate, run, run_lines
from .conftest import Flex

SHOUT = """
    class run:
        def __init__(self, mark: str, times: int = 1):
            self.mark = mark * times
        def __call__(self, text: str):
            return text + self.mark
"""


class Models(FakeModels):
    """Connections of the kinds that classes take."""

    def __init__(self) -> None:
        azure = {"api_base": "https://a", "api_version": "v1"}
        connections = {
            "azure": Connection(name="azure", type="azure_open_ai", configs=azure, secrets={"api_key": Secret("k-1")}),
            "openai": Connection(name="openai", type="open_ai", configs={"base_url": "http://x"}),
        }
        super().__init__(connections=connections)
        self.environment = {"FLEX_ENDPOINT": "https://env"}


def made(path: Path, **given: Any) -> dict[str, Any]:
    return run(path, {"text": "a"}, models=Models(), connections={"init": given} if given else None).outputs


def test_init_takes_the_sample_the_default_or_what_the_run_gives(flex: Flex) -> None:
    sample = "entry: main:run\nsample:\n  init: {mark: '!', times: 2}\n"
    assert made(flex(SHOUT, sample)) == {"output": "a!!"}
    # The sample holds as a whole or not at all.
    assert made(flex(SHOUT, sample), mark="?") == {"output": "a?"}
    default = "entry: main:run\ninit:\n  mark: {type: string, default: '.'}\n"
    assert made(flex(SHOUT, default)) == {"output": "a."}
    assert made(flex(SHOUT, default), times="3") == {"output": "a..."}


def test_one_instance_serves_all_lines_of_a_runner(flex: Flex) -> None:
    code = """
        MADE = []
        class run:
            def __init__(self):
                MADE.append(self)
                self.calls = 0
            def __call__(self):
                self.calls += 1
                return {"made": len(MADE), "calls": self.calls}
            def __aggregate__(self, lines):
                return {"made": len(MADE), "calls": self.calls}
    """
    lines = run_lines(flex(code), [{}] * 3)
    assert [line.outputs for line in lines] == [{"made": 1, "calls": n} for n in (1, 2, 3)]
    assert aggregate(flex(code), [{}] * 4).metrics == {"made": 1.0, "calls": 4.0}


def test_a_connection_name_becomes_the_connection(flex: Flex) -> None:
    code = """
        class run:
            def __init__(self, connection: "AzureOpenAIConnection", other: str = ""):
                self.connection = connection
            def __call__(self, text): return self.connection.get("api_base")
    """
    path = flex(code, "entry: main:run\nsample:\n  init: {connection: azure}\n")
    assert made(path) == {"output": "https://a"}
    with pytest.raises(ConnectionFault, match="of the type open_ai"):
        made(path, connection="openai")
    with pytest.raises(ConnectionFault, match="there is no connection 'none'"):
        made(path, connection="none")
    yaml = "entry: main:run\ninit:\n  connection: {type: AzureOpenAIConnection, default: azure}\n"
    assert made(flex(code.replace(': "AzureOpenAIConnection"', ""), yaml)) == {"output": "https://a"}


CONFIGURED = """
    from pilothouse.flows.flex.configurations import AzureOpenAIModelConfiguration
    class run:
        def __init__(self, model: AzureOpenAIModelConfiguration):
            self.model = model
        def __call__(self, text):
            model = self.model
            return {"of": type(model).__name__, "to": model.azure_endpoint, "key": model.api_key == "k-1", "text": repr(model)}
"""


def test_a_mapping_becomes_a_model_configuration(flex: Flex) -> None:
    path = flex(CONFIGURED)
    found = made(path, model={"azure_deployment": "gpt", "azure_endpoint": "${env:FLEX_ENDPOINT}", "api_key": "k-1"})
    assert (found["of"], found["to"], found["key"]) == ("AzureOpenAIModelConfiguration", "https://env", True)
    assert "k-1" not in found["text"]


def test_a_model_configuration_takes_its_fields_from_the_connection_that_it_names(flex: Flex) -> None:
    found = made(flex(CONFIGURED), model={"azure_deployment": "gpt", "connection": "azure"})
    assert (found["to"], found["key"]) == ("https://a", True)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("azure", "made of a mapping"),
        ({"azure_deploymnt": "x"}, "did you mean 'azure_deployment'"),
        ({"azure_endpoint": "x"}, "no AzureOpenAIModelConfiguration can be made"),
    ],
)
def test_what_is_no_model_configuration_is_refused(flex: Flex, model: Any, expected: str) -> None:
    with pytest.raises(FlowError, match=expected):
        made(flex(CONFIGURED), model=model)


def test_init_arguments_are_checked(flex: Flex) -> None:
    with pytest.raises(FlowError, match=r"made with 'mark', which nothing gives(.|\n)*sample.init.mark"):
        made(flex(SHOUT))
    with pytest.raises(FlowError, match="did you mean 'mark'"):
        made(flex(SHOUT), marc="!")
    with pytest.raises(FlowError, match="not of the type int"):
        made(flex(SHOUT), mark="!", times="many")


def test_a_constructor_that_fails_says_where(flex: Flex) -> None:
    with pytest.raises(UserCodeError, match="'run' cannot be made: ValueError: no") as error:
        run(flex("class run:\n    def __init__(self): raise ValueError('no')\n    def __call__(self): return 1"))
    assert "main.py" in error.value.traceback


def test_init_decides_the_fingerprint_and_no_secret_is_in_it(flex: Flex) -> None:
    def fingerprint(**given: Any) -> str:
        runner = FlowRunner(load_flow(flex(SHOUT)), models=Models(), connections={"init": given})
        found = runner.open().node_fingerprint("run")
        runner.close()
        return found

    assert fingerprint(mark="a") == fingerprint(mark="a") != fingerprint(mark="b")


# Aggregation

SCORES = """
    class run:
        def __call__(self, n: int):
            if n < 0:
                raise ValueError("negative")
            return {"n": n, "inner": {"twice": 2 * n}}
        def __aggregate__(self, line_results: list) -> dict:
            numbers = [line.n for line in line_results]
            assert numbers == [line["n"] for line in line_results]
            return {"sum": sum(numbers), "first": numbers[0], "twice": line_results[-1].inner.twice, "word": "x"}
"""


def test_aggregate_gets_completed_lines_in_order_and_its_dict_becomes_metrics(flex: Flex) -> None:
    found = aggregate(flex(SCORES), [{"n": n} for n in (3, -1, 4)])
    assert found.error is None
    assert (found.metrics, found.lines) == ({"sum": 7.0, "first": 3.0, "twice": 8.0}, 2)
    assert found.notes == ("the metric 'word' is not a number but str and is not kept",)


def test_aggregate_is_aligned_whatever_order_lines_come_in(flex: Flex) -> None:
    def line(number: int) -> LineResult:
        node = NodeResult(node="run", status="completed", output={"n": number, "inner": {"twice": 2 * number}})
        return LineResult(line_number=number, status="completed", inputs={"n": number}, nodes=(node,))

    async def go() -> Any:
        async with FlowRunner(load_flow(flex(SCORES))) as runner:
            return await runner.aggregate([line(2), line(0), line(1)])

    assert asyncio.run(go()).metrics == {"sum": 3.0, "first": 0.0, "twice": 4.0}


def test_an_async_aggregate_is_waited_for(flex: Flex) -> None:
    code = "class run:\n    def __call__(self): return 1\n    async def __aggregate__(self, lines): return {'n': len(lines), 'last': lines[-1]}"
    assert aggregate(flex(code), [{}, {}]).metrics == {"n": 2.0, "last": 1.0}


def test_an_aggregate_that_fails_or_returns_no_mapping_is_told(flex: Flex) -> None:
    code = "class run:\n    def __call__(self): return 1\n    def __aggregate__(self, lines): return [1]"
    assert "only a mapping becomes metrics" in aggregate(flex(code), [{}]).notes[0]
    failed = aggregate(flex(code.replace("[1]", "lines[0].nothing")), [{}])
    assert failed.error is not None
    assert (failed.error.type, failed.error.node) == ("AttributeError", "__aggregate__")


def test_metrics_may_be_logged_too(flex: Flex) -> None:
    code = "from pilothouse import log_metric\nclass run:\n    def __call__(self): return 1\n    def __aggregate__(self, lines): log_metric('n', len(lines))"
    assert aggregate(flex(code), [{}]).metrics == {"n": 1.0}


def test_init_arguments_belong_to_classes(flex: Flex) -> None:
    flow = load_flow(flex("def run(): return 1"))
    with pytest.raises(FlowError, match="nothing is made of a class here"):
        FlowRunner(flow, connections={"init": {"a": 1}})


def test_a_class_written_for_prompt_flow_gets_prompt_flows_objects(flex: Flex) -> None:
    code = (
        "from promptflow.connections import CustomConnection\n"
        "from promptflow.core import OpenAIModelConfiguration\n"
        "class Judge:\n"
        "    def __init__(self, box: CustomConnection, model: OpenAIModelConfiguration):\n"
        "        self.box, self.model = box, model\n"
        "    def __call__(self, text: str) -> str:\n"
        "        return f'{self.box.endpoint} {type(self.box).__name__} {self.model.model} {text}'\n"
    )
    yaml = "entry: main:Judge\nsample:\n  init: {box: box, model: {model: tiny, base_url: http://x}}\n"
    models = Models()
    models.connections["box"] = Connection(name="box", type="custom", configs={"endpoint": "here"})
    outputs = run(flex(code, yaml), {"text": "hi"}, models=models).outputs
    assert outputs == {"output": "here CustomConnection tiny hi"}
