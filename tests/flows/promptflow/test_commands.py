"""Projects written for prompt flow, through the real command, and flows called as functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.flows.building import write

from pilothouse.core.errors import FlowError, NotFound, UserCodeError
from pilothouse.flows.function import FlowFunction, load_function

KEY = "sk-very-secret-key"

FILES = {
    "pilothouse.yaml": "{}\n",
    "connections/scripted.yaml": "name: scripted\ntype: scripted\nscript: answers.yaml\n",
    "connections/shop.yaml": """
        name: shop
        type: custom
        configs: {url: https://shop.example}
        secrets: {token: "${env:SHOP_SECRET}"}
    """,
    "answers.yaml": "- when: parcel\n  reply: shipping\n- reply: other\n",
    "data/questions.jsonl": '{"question": "my parcel"}\n{"question": "hello"}\n',
    "flows/support/flow.dag.yaml": """
        inputs:
          question: {type: string}
        outputs:
          team: {type: string, reference: "${route.output}"}
        nodes:
          - name: ask
            type: llm
            source: {type: code, path: ask.jinja2}
            connection: scripted
            api: chat
            inputs: {model: scripted, question: "${inputs.question}"}
          - name: route
            type: python
            source: {type: code, path: route.py}
            inputs: {answer: "${ask.output}", shop: shop}
          - name: score
            type: python
            aggregation: true
            source: {type: code, path: score.py}
            inputs: {answers: "${route.output}", questions: "${inputs.question}"}
    """,
    "flows/support/ask.jinja2": "user:\n{{question}}\n",
    "flows/support/route.py": """
        from promptflow.connections import CustomConnection
        from promptflow.core import tool
        from promptflow.tracing import trace

        @trace
        def upper(text: str, shop: CustomConnection) -> str:
            assert shop.secrets["token"] and shop.url
            return text.upper()

        @tool
        def route(answer: str, shop: CustomConnection) -> str:
            return upper(answer, shop)
    """,
    "flows/support/score.py": """
        from promptflow import log_metric, tool

        @tool
        def score(answers: list, questions: list):
            log_metric("shipping", answers.count("SHIPPING") / len(questions))
    """,
    "flows/twice/flow.dag.yaml": """
        inputs:
          question: {type: string}
        outputs:
          teams: {type: list, reference: "${twice.output}"}
        nodes:
          - name: twice
            type: python
            source: {type: code, path: twice.py}
            inputs: {question: "${inputs.question}"}
    """,
    "flows/twice/twice.py": """
        from pathlib import Path
        from promptflow.client import load_flow
        from promptflow.core import Flow, tool

        @tool
        def twice(question: str):
            support = Path(__file__).parent.parent / "support"
            return [Flow.load(source=support)(question=question)["team"], load_flow(support)(question="x")["team"]]
    """,
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_SECRET", KEY)
    return write(tmp_path / "shop", FILES)


def pilothouse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pilothouse", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_flow_is_tried_from_the_command_line(shop: Path) -> None:
    done = pilothouse(shop, "flow", "test", "flows/support", "--inputs", "question=my parcel")
    assert done.returncode == 0, done.stderr
    assert "SHIPPING" in done.stdout
    assert "shipping" in done.stdout


def test_a_run_over_data_logs_metrics_and_keeps_no_secret(shop: Path) -> None:
    done = pilothouse(shop, "run", "create", "--flow", "flows/support", "--data", "data/questions.jsonl", "--name", "r")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 completed, 0 failed" in " ".join((done.stdout + done.stderr).split())
    shown = pilothouse(shop, "run", "show", "r", "--json")
    assert '"shipping":0.5' in shown.stdout.replace(" ", ""), shown.stdout
    kept = [path for path in shop.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert kept == []


def test_what_is_not_offered_ends_with_2_and_no_traceback(shop: Path) -> None:
    write(
        shop, {"flows/support/route.py": "from promptflow.batch import BatchEngine\nfrom promptflow.core import tool\n"}
    )
    done = pilothouse(shop, "flow", "test", "flows/support", "--inputs", "question=x")
    said = " ".join(done.stderr.split())
    assert done.returncode == 2
    assert "route.py:1" in said
    assert "pilothouse run create" in said
    assert "Traceback" not in said


def test_a_flow_calls_another_flow(shop: Path) -> None:
    done = pilothouse(shop, "flow", "test", "flows/twice", "--inputs", "question=my parcel", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '["SHIPPING","OTHER"]' in done.stdout.replace(" ", "").replace("\n", "")


def test_a_flow_is_a_function(shop: Path) -> None:
    support = FlowFunction.load(shop / "flows" / "support")
    assert support.name == "support"
    assert support(question="my parcel") == {"team": "SHIPPING"}


def test_a_function_that_fails_says_why(shop: Path, tmp_path: Path) -> None:
    write(shop, {"flows/support/route.py": "from promptflow import tool\n@tool\ndef route(answer, shop):\n    1 / 0\n"})
    with pytest.raises(UserCodeError, match="division by zero") as caught:
        load_function(shop / "flows" / "support")(question="x")
    assert "route.py" in caught.value.traceback
    with pytest.raises(UserCodeError, match="no value for the input 'question'"):
        load_function(shop / "flows" / "support")()
    with pytest.raises(NotFound):
        load_function(tmp_path / "nowhere")
    write(shop, {"flows/support/route.py": "x = 1\n"})
    with pytest.raises(FlowError, match="no @tool function"):
        load_function(shop / "flows" / "support")
