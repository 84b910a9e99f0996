"""`flow init`: what it writes runs at once, without a key, and nothing is overwritten."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import Conflict, ConnectionFault, FlowError, UserError
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.flows.commands.commands import flow
from pilothouse.flows.loader import load_flow

from ..building import aggregate, run, write

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(services: Any, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(services.root)

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(flow, arguments, obj=services)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def tried(invoke: Invoke, *arguments: str) -> dict[str, Any]:
    result = invoke("test", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


TEMPLATES = [(kind, purpose) for kind in ("dag", "flex", "prompty") for purpose in ("standard", "chat", "evaluation")]
TEMPLATES.remove(("prompty", "evaluation"))


@pytest.mark.parametrize(("kind", "purpose"), TEMPLATES)
def test_a_new_flow_runs_at_once_and_is_valid(kind: str, purpose: str, invoke: Invoke, services: Any) -> None:
    said = invoke("init", "my new", "--kind", kind, "--type", purpose).stdout
    commands = [shlex.split(line) for line in said.splitlines() if line.startswith("  pilothouse")]
    test, batch, validate = commands
    assert test[:3] == ["pilothouse", "flow", "test"]
    found = tried(invoke, test[3])
    assert all(found["lines"][0]["outputs"].values())
    assert invoke("validate", validate[3]).exit_code == 0
    mapping = dict(text.split("=", 1) for text in batch[batch.index("--data") + 2 :] if text != "--column-mapping")
    rows = [json.loads(line) for line in Path(batch[batch.index("--data") + 1]).read_text().splitlines()]
    inputs = [ColumnMapping.parse(mapping).apply({"data": row}) for row in rows]
    assert len({json.dumps(item) for item in inputs}) == len(rows) > 1
    if purpose == "evaluation":
        metrics = aggregate(services.root / "my new", inputs).metrics
        assert metrics == {"accuracy": 0.5, "rows": 2}
    if purpose == "chat":
        ports = load_flow(test[3]).inputs
        assert [name for name, item in ports.items() if item.is_chat_input] == ["question"]
        assert [name for name, item in ports.items() if item.is_chat_history] == ["chat_history"]


def test_a_prompty_for_evaluation_is_refused(invoke: Invoke) -> None:
    with pytest.raises(UserError, match="no aggregation"):
        invoke("init", "x", "--kind", "prompty", "--type", "evaluation")


def test_nothing_is_overwritten(invoke: Invoke, services: Any) -> None:
    invoke("init", "mine")
    before = (services.root / "mine" / "flow.dag.yaml").read_bytes()
    for arguments in (["mine"], ["--flow", "mine", "--kind", "flex"], ["mine", "--type", "chat"]):
        with pytest.raises(Conflict, match="holds a flow already"):
            invoke("init", *arguments)
    write(services.root / "other", {"shorten.py": "mine\n"})
    with pytest.raises(Conflict):
        invoke("init", "other")
    assert sorted(path.name for path in (services.root / "other").iterdir()) == ["shorten.py"]
    assert (services.root / "mine" / "flow.dag.yaml").read_bytes() == before


def test_a_connection_that_can_answer_is_used(invoke: Invoke, services: Any) -> None:
    write(services.root / "connections", {"house.yaml": "type: scripted\nscript: answers.yaml\n"})
    write(services.root, {"answers.yaml": "- reply: from the house\n"})
    invoke("init", "mine")
    assert load_flow("mine").nodes[0].connection == "house"
    assert tried(invoke, "mine")["lines"][0]["outputs"] == {"line": "from the house"}


def test_a_connection_that_cannot_answer_yet_is_not_and_the_reason_is_told(invoke: Invoke, services: Any) -> None:
    write(services.root / "connections", {"cloud.yaml": "type: open_ai\napi_key: ${env:NOT_SET_ANYWHERE}\n"})
    said = " ".join(invoke("init", "one").stdout.split())
    assert "'cloud' is not used: name its model with --model" in said
    said = " ".join(invoke("init", "two", "--model", "big").stdout.split())
    assert "'cloud' is not used: the connection 'cloud' has no 'api_key'" in said
    invoke("init", "three", "--connection", "cloud", "--model", "big")
    node = load_flow("three").nodes[0]
    assert (node.connection, node.inputs["model"].value) == ("cloud", "big")  # type: ignore[union-attr]
    with pytest.raises(UserError, match="which model of the connection 'cloud'"):
        invoke("init", "four", "--connection", "cloud")
    with pytest.raises(ConnectionFault, match="there is no connection 'clod'"):
        invoke("init", "four", "--connection", "clod", "--model", "big")


def test_an_azure_connection_takes_a_deployment(invoke: Invoke, services: Any) -> None:
    write(services.root / "connections", {"aoai.yaml": "type: azure_open_ai\napi_base: http://x\napi_key: ${env:K}\n"})
    invoke("init", "one", "--connection", "aoai", "--deployment", "d1", "--type", "chat")
    assert load_flow("one").nodes[0].inputs["deployment_name"].value == "d1"  # type: ignore[union-attr]


# Around a function

INTENT = """\
    import os


    def extract(text: str, prompt_template: str, limit: int = 3, strict: bool = False) -> str:
        return f"{prompt_template.strip()}|{text}|{limit}|{strict}"


    async def later(text: str) -> str:
        return text.upper()


    def asks(text: str, shop: "CustomConnection", data: "os.PathLike") -> str:
        return f"{text} {shop.region} {data}"


    class Counter:
        def __init__(self, start: int):
            self.start = start

        def __call__(self, words: list) -> dict:
            return {"count": self.start + len(words)}
    """


def test_a_function_becomes_a_flex_flow(invoke: Invoke, services: Any) -> None:
    write(services.root / "code", {"intent.py": INTENT})
    said = invoke("init", "--flow", "mine", "--entry", "code/intent.py", "--function", "later").stdout
    assert "pilothouse flow test mine\n" in said
    assert not (services.root / "mine" / "intent.py").exists()
    assert tried(invoke, "mine")["lines"][0]["outputs"] == {"output": "..."}
    assert tried(invoke, "mine", "text=now")["lines"][0]["outputs"] == {"output": "NOW"}


def test_a_class_becomes_a_flex_flow_beside_its_file(invoke: Invoke, services: Any) -> None:
    write(services.root / "mine", {"intent.py": INTENT})
    invoke("init", "mine", "--entry", "intent.py", "--function", "Counter")
    assert load_flow("mine").additional_includes == ()
    assert tried(invoke, "mine")["lines"][0]["outputs"] == {"count": 1}


def test_a_function_with_a_template_becomes_a_graph(invoke: Invoke, services: Any) -> None:
    write(services.root / "mine", {"intent.py": INTENT, "tpl.jinja2": "Find {{what}} in {{where}}\n"})
    said = invoke(
        "init", "--flow", "mine", "--entry", "intent.py", "--function", "extract",
        "--prompt-template", "prompt_template=tpl.jinja2",
    ).stdout  # fmt: skip
    assert re.search(r"flow test mine what=\.\.\. where=\.\.\. text=\.\.\.\n", said)
    made = load_flow("mine")
    assert {name: item.type for name, item in made.inputs.items()} == {
        "what": "string", "where": "string", "text": "string", "limit": "int", "strict": "bool"
    }  # fmt: skip
    assert run(services.root / "mine", {"what": "a", "where": "b", "text": "t"}).outputs == {
        "output": "Find a in b|t|3|False"
    }
    assert invoke("validate", "mine").exit_code == 0


def test_an_async_function_and_a_tool_become_graphs(invoke: Invoke, services: Any) -> None:
    write(
        services.root,
        {
            "intent.py": INTENT,
            "ready.py": "from pilothouse import tool\n\n\n@tool\ndef ready(n: int):\n    return n + 1\n",
        },
    )
    invoke("init", "one", "--kind", "dag", "--entry", "intent.py", "--function", "later")
    assert run(services.root / "one", {"text": "x"}).outputs == {"output": "X"}
    invoke("init", "two", "--kind", "dag", "--entry", "ready.py", "--function", "ready")
    assert sorted(path.name for path in (services.root / "two").iterdir()) == ["flow.dag.yaml"]
    assert run(services.root / "two", {"n": 1}).outputs == {"output": 2}


def test_a_parameter_that_takes_a_connection_is_given_one_of_the_project(invoke: Invoke, services: Any) -> None:
    write(
        services.root / "connections",
        {"shop.yaml": "type: custom\nconfigs: {region: north}\nsecrets: {t: '${file:t.txt}'}\n", "t.txt": "x"},
    )
    write(services.root, {"intent.py": INTENT})
    invoke("init", "one", "--kind", "dag", "--entry", "intent.py", "--function", "asks")
    assert tried(invoke, "one", "text=a", "data=b")["lines"][0]["outputs"] == {"output": "a north b"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--entry", "intent.py", "--function", "extrct"], FlowError, "no function or class 'extrct'"),
        (["--entry", "nowhere.py", "--function", "f"], FlowError, "no such file"),
        (["--entry", "intent.py"], UserError, "which function"),
        (["--function", "f"], UserError, "stands in a file"),
        (["--entry", "intent.py", "--function", "extract", "--prompt", "tpl=x.jinja2"], FlowError, "no parameter 'tpl'"),
        (["--entry", "intent.py", "--function", "extract", "--prompt", "text"], UserError, "is not a pair"),
        (["--entry", "intent.py", "--function", "Counter", "--kind", "dag"], FlowError, "is a class"),
        (["--entry", "intent.py", "--function", "later", "--kind", "prompty"], UserError, "holds no function"),
        (["--entry", "bad-name.py", "--function", "f"], FlowError, "cannot be imported by its name"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_a_flow_is_told(
    arguments: list[str], error: type[Exception], message: str, invoke: Invoke, services: Any
) -> None:
    write(services.root, {"intent.py": INTENT, "bad-name.py": "def f(): ...\n", "x.jinja2": "x"})
    with pytest.raises(error, match=message):
        invoke("init", "mine", *arguments)
    assert not (services.root / "mine").exists()


def test_a_folder_must_be_named(invoke: Invoke) -> None:
    for arguments in ([], ["one", "--flow", "two"]):
        with pytest.raises(UserError, match="which folder"):
            invoke("init", *arguments)
