"""A project with a scripted model, and the working directory in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.building import write

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
    "rows.jsonl": '{"question": "my parcel", "team": "shipping!"}\n{"question": "bad", "team": "x"}\n'
    '{"question": "hello", "team": "x"}\n',
    "flow/flow.dag.yaml": """
        inputs:
          question: {type: string, default: my parcel}
        outputs:
          team: {type: string, reference: "${route.output}"}
        nodes:
          - {name: ask, use_variants: true}
          - name: route
            type: python
            source: {type: code, path: route.py}
            inputs: {answer: "${ask.output}", question: "${inputs.question}", suffix: "!"}
          - name: count
            type: python
            aggregation: true
            source: {type: code, path: count.py}
            inputs: {teams: "${route.output}"}
        node_variants:
          ask:
            default_variant_id: short
            variants:
              short: {node: {type: llm, source: {type: code, path: ask.jinja2}, connection: scripted, api: chat,
                      inputs: {model: scripted, question: "${inputs.question}"}}}
              other: {node: {type: llm, source: {type: code, path: other.jinja2}, connection: scripted, api: chat,
                      inputs: {model: scripted}}}
    """,
    "flow/ask.jinja2": "user:\n{{question}}\n",
    "flow/other.jinja2": "user:\nsomething\n",
    "flow/route.py": """
        import os
        from promptflow.core import tool

        @tool
        def route(answer: str, question: str, suffix: str = "?"):
            if question == "bad":
                raise ValueError("a bad row")
            return answer + suffix + os.environ.get("SHIM_TEST_SUFFIX", "")
    """,
    "flow/count.py": """
        from promptflow.core import log_metric, tool

        @tool
        def count(teams: list):
            log_metric("teams", len(teams))
    """,
    "ask.prompty": """
        ---
        name: ask
        model:
          api: chat
          configuration: {connection: scripted, model: scripted}
          parameters: {max_tokens: 20}
        inputs:
          question: {type: string}
        sample: {question: my parcel}
        ---
        system:
        Be short.

        user:
        {{question}}
    """,
    "code/words.py": """
        def count(text: str) -> int:
            return len(text.split())
    """,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write(tmp_path / "project", FILES)
    monkeypatch.setenv("SHOP_SECRET", KEY)
    monkeypatch.chdir(folder)
    return folder
